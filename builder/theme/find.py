"""The theme: where it is, what of it is linked, and what identifies it.

In a fork the top-level `_layouts`, `_includes` and `assets` are the theme; an
installed package carries the same folders.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from builder.documents.discover import assets_of
from builder.errors import Problem
from builder.fingerprint import fingerprint
from builder.latest import latest
from builder.storage.cache import Cache
from builder.storage.local import changed_at
from builder.theme.sources import INCLUDES, LAYOUTS, TemplateSource, asset_names, read_sources

if TYPE_CHECKING:
    from builder.theme.templates import Templates


def packaged_theme() -> Path:
    """Return the folder that holds the packaged `_layouts`, `_includes` and `assets`."""
    package = Path(__file__).parent.parent
    carried = package / "theme_files"
    return carried if carried.is_dir() else package.parent


_SETTLED = 10**9  # nanoseconds; a file that changed before has other times if it changes again
SHEET, ACCENT = "style.css", "accent.css"
# On a dark ground the colour is mixed with white, so that it can be read.
_ACCENT_CSS = """\
:root{{--accent:{0};--tint:color-mix(in srgb,{0} 12%,var(--card))}}
:root[data-theme=dark]{{--accent:color-mix(in srgb,{0} 45%,white)}}
@media(prefers-color-scheme:dark){{
:root:not([data-theme=light]){{--accent:color-mix(in srgb,{0} 45%,white)}}
}}
"""


def replaces_sheet(source: Path) -> bool:
    """Tell whether the registry in `source` has a style sheet in place of the theme's."""
    own = source / "assets" / SHEET
    return own.is_file() and source.resolve() != packaged_theme().resolve()


class Asset(NamedTuple):
    """A file of the theme: its bytes or where they are, its output path, its sha256."""

    body: Path | bytes
    published: str
    digest: str

    def read(self) -> bytes:
        """Return the bytes; raises OSError."""
        return self.body if isinstance(self.body, bytes) else self.body.read_bytes()


class Theme(NamedTuple):
    """A theme as found: its assets by name, and its identity."""

    source: Path
    folder: Path
    assets: Mapping[str, Asset]
    key: str

    def templates(
        self, cache: Cache, *, baseurl: str, url: str, timezone: str, markdown: str
    ) -> Templates:
        """Judge all page layouts; raises ContentError with every problem of them."""
        from builder.theme.templates import TemplateOptions, Templates  # noqa: PLC0415 - with Jinja

        published = {name: asset.published for name, asset in self.assets.items()}
        options = TemplateOptions(
            self.source, self.folder, baseurl, url, timezone, markdown, published
        )
        return Templates(options, cache)


def find_theme(source: Path, accent: str = "") -> Theme:
    """Return the theme of the registry in `source`; raises ContentError.

    `accent` is a colour, which becomes a style sheet of its own. Templates
    that cannot be read are left to `Templates` to report.
    """
    folder = packaged_theme()
    return _theme(source, folder, accent, _state(source, folder))


def _state(*roots: Path) -> tuple[object, ...]:
    """Return what tells whether any file of a theme changed since; the time, if one did just now.

    A file that is written twice at one moment keeps the times that it had.
    """
    now, found, newest = time.time_ns(), [], 0
    for root in dict.fromkeys(roots):
        for part in (LAYOUTS, INCLUDES, "assets"):
            for path, folders, files in os.walk(root / part):
                for name in (".", *folders, *files):
                    with suppress(FileNotFoundError):
                        facts = os.lstat(f"{path}/{name}")
                        times = (facts.st_mtime_ns, changed_at(facts))
                        sizes = (facts.st_mode, facts.st_ino, facts.st_size)
                        found.append((path, name, *sizes, *times))
                        newest = max(newest, *times)
    return (*found, now if newest > now - _SETTLED else 0)


@latest
def _theme(source: Path, folder: Path, accent: str, _: tuple[object, ...]) -> Theme:
    problems: list[Problem] = []
    templates = read_sources(source, folder, problems)
    files = assets_of(source, folder)
    linked = linked_assets(templates.values(), files)
    assets: dict[str, Asset] = {}
    bodies: dict[str, Path | bytes] = dict(files)
    if accent:
        bodies[ACCENT] = _ACCENT_CSS.format(accent).encode()
    for name, body in sorted(bodies.items()):
        data = body if isinstance(body, bytes) else body.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        published = _marked(name, digest[:10]) if name in linked or name == ACCENT else name
        assets[name] = Asset(body, f"assets/{published}", digest)
    return Theme(source, folder, assets, fingerprint(assets, templates, problems))


def linked_assets(templates: Iterable[TemplateSource], files: Iterable[str]) -> set[str]:
    """Return the assets that some template links; all where a template computes a name."""
    found = [asset_names(template.text) for template in templates]
    return set(files) if None in found else {name for names in found for name in names or ()}


def _marked(name: str, mark: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{mark}.{ending}" if dot else f"{name}.{mark}"
