"""Let a `Returns` section be prose and a definition list, as in scanpy: the type stands in the signature already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.ext.napoleon import NumpyDocstring

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def parse_returns(self: NumpyDocstring, section: str) -> list[str]:
    """Take the section as it stands, instead of reading its first line as a type."""
    lines = self._dedent(self._consume_to_next_section())
    if lines[:1] == [":"]:  # what sphinx-autodoc-typehints puts there for Napoleon to read an empty type
        del lines[0]
    return self._format_block(":returns: ", lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    NumpyDocstring._parse_returns_section = parse_returns
    return {"parallel_read_safe": True, "parallel_write_safe": True}
