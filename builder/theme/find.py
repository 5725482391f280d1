"""The theme: where it is, what of it is linked, and what identifies it.

In a fork the top-level `_layouts`, `_includes` and `assets` are the theme; an
installed package carries the same folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from builder.documents.discover import assets_of
from builder.theme.templates import TemplateOptions, Templates, linked_assets

FOLDERS = ("_layouts", "_includes")


def packaged_theme() -> Path:
    """Return the folder that holds the packaged `_layouts`, `_includes` and `assets`."""
    package = Path(__file__).parent.parent
    carried = package / "theme_files"
    return carried if carried.is_dir() else package.parent


class Theme(NamedTuple):
    """A theme as found: its assets with their published paths, and its identity."""

    source: Path
    folder: Path
    assets: Mapping[str, tuple[Path, str]]
    key: str

    def templates(self, *, baseurl: str, url: str, timezone: str) -> Templates:
        """Compile all page layouts; raises ContentError with every problem of them."""
        published = {name: path for name, (_, path) in self.assets.items()}
        options = TemplateOptions(self.source, self.folder, baseurl, url, timezone, published)
        return Templates(options)


def find_theme(source: Path) -> Theme:
    """Return the theme of the registry in `source`; raises ContentError."""
    folder = packaged_theme()
    linked = linked_assets(source, folder)
    total = hashlib.blake2b(digest_size=16)
    assets: dict[str, tuple[Path, str]] = {}
    for name, path in sorted(assets_of(source, folder).items()):
        data = path.read_bytes()
        mark = hashlib.sha256(data).hexdigest()[:10]
        total.update(f"{name} {mark}\n".encode())
        assets[name] = (path, f"assets/{_marked(name, mark) if name in linked else name}")
    for root in dict.fromkeys((source, folder)):
        for place in FOLDERS:
            for file in sorted((root / place).rglob("*")):
                if file.is_file() and not file.is_symlink():
                    total.update(f"{place}/{file.name}\n".encode() + file.read_bytes())
    return Theme(source, folder, assets, total.hexdigest())


def _marked(name: str, mark: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{mark}.{ending}" if dot else f"{name}.{mark}"
