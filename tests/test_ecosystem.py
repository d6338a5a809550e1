"""The entry for the ecosystem registry has what the registry asks for, and says what the package says of itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIRED = {
    "name", "description", "project_home", "documentation_home", "install", "license", "tags", "version", "authors",
}  # fmt: skip
OPTIONAL = {"tutorials_home", "publications", "test_command", "contact", "category"}


def test_entry():
    entry = yaml.safe_load((REPOSITORY / ".github" / "ecosystem" / "meta.yaml").read_text("utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(entry) >= REQUIRED
    assert set(entry) <= REQUIRED | OPTIONAL
    assert entry["name"] == entry["install"]["pypi"] == project["name"]
    assert entry["version"].removeprefix("v") == project["version"]
    assert entry["license"] == project["license"]
    assert entry["tags"]
    assert entry["authors"]
    assert all(re.fullmatch(r"10\.\d{4,9}/[-._;()/:A-Z0-9]+", doi, flags=re.I) for doi in entry["publications"])
    assert all(entry[home].startswith("https://") for home in ("project_home", "documentation_home", "tutorials_home"))
    assert entry["test_command"].startswith("make ")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert f"version = {{{project['version']}}}" in (REPOSITORY / "docs" / "references.md").read_text("utf-8")
