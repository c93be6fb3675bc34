"""Sphinx makes the documentation site of these pages: `make site`.

The pages are written for two readers, GitHub and Sphinx: plain Markdown, with relative links. So
the tree of the site is read from the lists of index.md, and links to files outside of docs/ are
pointed at the repository.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).parent
ROOT = HERE.parent
REPOSITORY = "https://github.com/tweetscore/tweetscore"
_log = logging.getLogger(__name__)

project = "tweetscore"
author = project_copyright = "the tweetscore authors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser"]
myst_heading_anchors = 3  # links to headings, spelt as GitHub spells them
nitpicky = True

html_theme = "furo"
html_title = f"tweetscore {release}"
html_static_path = ["site"]
html_css_files = ["tweetscore.css"]
html_copy_source = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": ["edit"],
}

# [text](../FILE) or [text](../FILE#heading)
_OUTSIDE = re.compile(r"\]\(\.\./(?P<path>[^)#\s]+)(?P<heading>#[^)\s]*)?\)")
# - [Title](PAGE.md): when it is needed
_ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<page>[\w-]+)\.md\)", re.MULTILINE)


def _at_the_repository(link: re.Match[str]) -> str:
    """Return a link to a file outside of docs/ as the site has it."""
    path = ROOT / link["path"]
    if not path.exists():
        _log.warning("no such file: ../%s", link["path"])
    kind = "tree" if path.is_dir() else "blob"
    return f"]({REPOSITORY}/{kind}/main/{link['path']}{link['heading'] or ''})"


def _trees(index: str) -> str:
    """Return a hidden toctree for each section of index.md that lists pages."""
    trees = []
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        caption, _, body = section.partition("\n")
        pages = "\n".join(f"{title} <{page}>" for title, page in _ENTRY.findall(body))
        if pages:
            trees.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n")
    return "\n".join(trees)


class _Translator(HTML5Translator):  # type: ignore[misc]  # Any, where Sphinx is not installed
    """Writes pages whose tables can be read on a phone."""

    def starttag(self, node: nodes.Element, tagname: str, *args: Any, **attributes: Any) -> str:
        """Give each cell the head of its column: tweetscore.css shows it where rows are stacked."""
        if isinstance(node, nodes.entry) and tagname == "td":
            row = node.parent
            heads = next(row.parent.parent.findall(nodes.thead))[0]
            attributes["data-label"] = heads[row.index(node)].astext()
        written: str = super().starttag(node, tagname, *args, **attributes)
        return written


def _prepare(_: Sphinx, page: str, source: list[str]) -> None:
    """Make of a page for GitHub the page for the site."""
    source[0] = _OUTSIDE.sub(_at_the_repository, source[0])
    if page == "index":
        source[0] += "\n" + _trees(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Have each page prepared before it is parsed, and its tables written for every width."""
    app.connect("source-read", _prepare)
    app.set_translator("html", _Translator)
    return {"parallel_read_safe": True}
