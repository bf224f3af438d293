"""MkDocs hook: adds the generated pages, keeps the site's links true to the repository's.

Added at build time: one page per script, from the code as it is, and the pages that live at the
repository's root. See `mkdocs.yml`.
"""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # MkDocs loads this file by its path

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402  # needs the path above
from mkdocs.structure.files import File, Files  # noqa: E402
from mkdocs.structure.pages import Page  # noqa: E402

from docs.generate import asking, scripts  # noqa: E402

SCRIPTS_PAGE = "reference/scripts.md"
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List a page for every script below "Scripts"."""
    pages: list[Any] = [{path.name: _page_of(path)} for path in asking.scripts()]
    for section in config.nav or []:
        for part in next(iter(section.values())):
            if isinstance(part, dict) and isinstance(part.get("Scripts"), list):
                part["Scripts"] += pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path in asking.scripts():
        files.append(File.generated(config, _page_of(path), content=scripts.page(path)))
    for name, page in ROOT_PAGES.items():
        content = (ROOT / name).read_text().replace("](docs/", "](")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Link scripts to their pages, and the repository's root pages to the site's."""
    here = page.file.src_uri
    if here == SCRIPTS_PAGE:
        markdown = re.sub(r"^\| `(\w+)\.py`", r"| [`\1.py`](scripts/\1.md)", markdown, flags=re.M)
    up = "../" * here.count("/")
    for name, target in ROOT_PAGES.items():
        markdown = markdown.replace(f"]({up}../{name}", f"]({up}{target}")
    return markdown


def _page_of(script: Path) -> str:
    return f"reference/scripts/{script.stem}.md"
