"""The theme: where it is, what of it is linked, and what identifies it.

In a fork the top-level `_layouts`, `_includes` and `assets` are the theme; an
installed package carries the same folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from builder.documents.discover import assets_of
from builder.errors import Problem
from builder.fingerprint import fingerprint
from builder.theme.closure import asset_names
from builder.theme.sources import TemplateSource, read_sources
from builder.theme.templates import TemplateOptions, Templates


def packaged_theme() -> Path:
    """Return the folder that holds the packaged `_layouts`, `_includes` and `assets`."""
    package = Path(__file__).parent.parent
    carried = package / "theme_files"
    return carried if carried.is_dir() else package.parent


class Asset(NamedTuple):
    """A file of the theme: where it is, the output path it is published at, its sha256."""

    file: Path
    published: str
    digest: str


class Theme(NamedTuple):
    """A theme as found: its assets by name, and its identity."""

    source: Path
    folder: Path
    assets: Mapping[str, Asset]
    key: str

    def templates(self, *, baseurl: str, url: str, timezone: str, markdown: str) -> Templates:
        """Compile all page layouts; raises ContentError with every problem of them."""
        published = {name: asset.published for name, asset in self.assets.items()}
        options = TemplateOptions(
            self.source, self.folder, baseurl, url, timezone, markdown, published
        )
        return Templates(options)


def find_theme(source: Path) -> Theme:
    """Return the theme of the registry in `source`; raises ContentError.

    Templates that cannot be read are left to `Templates` to report.
    """
    folder = packaged_theme()
    problems: list[Problem] = []
    templates = read_sources(source, folder, problems)
    files = assets_of(source, folder)
    linked = linked_assets(templates.values(), files)
    assets: dict[str, Asset] = {}
    for name, path in sorted(files.items()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        published = _marked(name, digest[:10]) if name in linked else name
        assets[name] = Asset(path, f"assets/{published}", digest)
    return Theme(source, folder, assets, fingerprint(assets, templates, problems))


def linked_assets(templates: Iterable[TemplateSource], files: Iterable[str]) -> set[str]:
    """Return the assets that some template links; all where a template computes a name."""
    found = [asset_names(template.text) for template in templates]
    return set(files) if None in found else {name for names in found for name in names or ()}


def _marked(name: str, mark: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{mark}.{ending}" if dot else f"{name}.{mark}"
