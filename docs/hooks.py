"""Makes a site of the repository's pages as they stand.

They are written to be read where they lie, so the README is the home page, and links lead to files outside this folder.
The site has no address to link these with, so it carries them along, below `repository/`.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES, CARRIED = "docs/", "repository/"
HOME = {"README.md": "index.md"}

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Add the home page, and what pages link to."""
    pages = {source_of(file.src_uri) for file in files.documentation_pages()}
    for path in sorted({*HOME, *carried({*HOME, *pages})}):
        inclusion = InclusionLevel.INCLUDED if path in HOME else InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, site_of(path), abs_src_path=str(ROOT / path), inclusion=inclusion))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to where their targets are in the site."""
    here = page.file.src_uri
    source = source_of(here)

    def moved(link: re.Match[str]) -> str:
        target = target_of(source, link["path"])
        is_there = (ROOT / target).is_file()
        return os.path.relpath(site_of(target), PurePosixPath(here).parent) if is_there else link["path"]

    return _LINK.sub(moved, markdown)


def carried(pages: set[str]) -> set[str]:
    """The files outside the folder of the pages that these link to, and those that they link to in turn."""
    found: set[str] = set()
    ahead = set(pages)
    while ahead:
        linked = {target for page in ahead if page.endswith(".md") for target in links_of(page)}
        ahead = {target for target in linked if site_of(target).startswith(CARRIED)} - found
        found |= ahead
    return found


def links_of(page: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    for link in _LINK.finditer((ROOT / page).read_text(encoding="utf-8")):
        target = target_of(page, link["path"])
        if (ROOT / target).is_file():
            yield target


def target_of(page: str, link: str) -> str:
    """The path in the repository that a link of a page means."""
    return os.path.normpath(PurePosixPath(page).parent / link)


def site_of(path: str) -> str:
    """Where a file of the repository is in the site."""
    return HOME.get(path) or (path.removeprefix(PAGES) if path.startswith(PAGES) else f"{CARRIED}{path}")


def source_of(uri: str) -> str:
    """Where a page of the site is in the repository."""
    if uri.startswith(CARRIED):
        return uri.removeprefix(CARRIED)
    return next((path for path, home in HOME.items() if home == uri), f"{PAGES}{uri}")
