"""Sphinx configuration."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from importlib.metadata import version as metadata_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

# SCSEMST_DOCS_OFFLINE=1 builds without the inventories of other projects: their objects are not linked then
OFFLINE = os.environ.get("SCSEMST_DOCS_OFFLINE", "0") not in ("", "0")

# The tutorials lie where a reader of the repository looks for them; as pages they have to lie here, with the links that
# hold from here
TUTORIALS = Path(__file__).parent / "tutorials"
TUTORIALS.mkdir(exist_ok=True)
for source in [path for path in (TUTORIALS.parents[1] / "tutorials").iterdir() if path.suffix in (".ipynb", ".md")]:
    text, page = source.read_text("utf-8").replace("](../docs/", "](../"), TUTORIALS / source.name
    if not page.exists() or page.read_text("utf-8") != text:
        page.write_text(text, "utf-8")

project = "scsemst"
author = "The scsemst developers"
copyright = f"{datetime.now():%Y}, {author}"
release = version = metadata_version(project)

extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_autodoc_typehints",
    "sphinxcontrib.bibtex",
    "sphinxcontrib.katex",
    "sphinxext.opengraph",
    "IPython.sphinxext.ipython_console_highlighting",
    "prose_returns",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
default_role = "literal"
needs_sphinx = "8.1"
suppress_warnings = ["config.cache"]

autosummary_generate = True
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_include_init_with_doc = False
napoleon_use_rtype = True
napoleon_use_param = True
typehints_defaults = "braces"
always_use_bars_union = True

myst_heading_anchors = 4
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "html_image"]
nb_execution_mode = "off"
nb_merge_streams = True
nb_output_stderr = "remove"

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
katex_prerender = False  # needs a local node server
katex_options = '{output: "mathml"}'  # drawn by the browser: no fonts and styles from elsewhere

intersphinx_mapping = (
    {}
    if OFFLINE
    else {
        "anndata": ("https://anndata.readthedocs.io/en/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/pandas-docs/stable", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "spatialdata": ("https://spatialdata.scverse.org/en/stable", None),
        "squidpy": ("https://squidpy.readthedocs.io/en/stable", None),
        "torch": ("https://pytorch.org/docs/stable", None),
    }
)

ogp_site_name = "scsemst"
# With an address of the site unknown at build time there is nothing for a social card to point at
ogp_site_url = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
ogp_social_cards = {"enable": False}

html_theme = "sphinx_book_theme"
html_title = "scsemst"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {"show_toc_level": 2, "home_page_in_toc": True, "navbar_persistent": []}
pygments_style = "default"
