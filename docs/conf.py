"""How Sphinx builds the documentation; `make docs` runs it. Nothing is fetched from the network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for help_directive

from defocus_edge import __version__

project = "defocus_edge"
author = "The defocus_edge developers"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "help_directive"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"defocus_edge {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
myst_heading_anchors = 3

default_role = "code"  # single back quotes in docstrings name things of the code
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the pages name the members
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
