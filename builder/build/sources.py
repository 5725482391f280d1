"""All that a build reads, as it was when it was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from urllib.parse import unquote

from builder.build.inventory import Inventory
from builder.config import Config
from builder.documents.content import Content, read_content
from builder.errors import Problem
from builder.fingerprint import fingerprint
from builder.pages.model import LISTS
from builder.registry.clock import epoch
from builder.registry.scan import is_picture, scan
from builder.text.addresses import Addresses
from builder.theme.filters import is_external
from builder.theme.find import Theme, find_theme


class ChangedError(Exception):
    """Sources were not the same when they were read and when they had been read."""


@dataclass(frozen=True, slots=True)
class Sources:
    """One look at the sources; `key` identifies all that was seen.

    The collections' folders are in the inventory that was scanned with them.
    """

    config: Config
    inventory: Inventory
    theme: Theme
    content: Content
    addresses: Addresses
    store: str
    key: str
    problems: tuple[Problem, ...]

    def changed(self, names: Iterable[str]) -> Iterator[str]:
        """Yield what is not as it was, of the collections `names` and of everything else."""
        config = self.config
        folder = config.registry.collections
        for name in sorted(names):
            now = scan(config.source, folder, name).folders.get(name)
            if now is None or now.signature != self.inventory.folders[name].signature:
                yield f"{folder}/{name}"
        if self.inventory.look_at_store() != self.store:
            yield config.registry.store
        if find_theme(config.source, config.pages.accent).key != self.theme.key:
            yield "the theme"
        if read_content(config.site, []).key != self.content.key:
            yield "the site's own files"


def look(
    config: Config, inventory: Inventory, options: str, touched: frozenset[str] | None
) -> Sources:
    """Look at all sources, or at `touched` ones alone; `options` identifies all else.

    Raises ContentError for a theme or data that cannot be read at all.
    """
    problems = inventory.scan(touched)
    theme = find_theme(config.source, config.pages.accent)
    content = read_content(config.site, problems)
    store = inventory.store_key
    total = hashlib.blake2b(digest_size=16)
    for name, folder in sorted(inventory.folders.items()):
        total.update(f"{name} {folder.signature}\n".encode())
    key = fingerprint(total.hexdigest(), options, theme.key, content.key, store, epoch())
    addresses = _addresses(config, inventory, theme, content)
    problems = [*problems, *_dead_links(config, addresses)]
    return Sources(config, inventory, theme, content, addresses, store, key, tuple(problems))


def _dead_links(config: Config, addresses: Addresses) -> Iterator[Problem]:
    """Yield a warning for each address of the configuration that nothing is published at."""
    for place, address in config.links:
        path = unquote(address).partition("#")[0].partition("?")[0]
        if not is_external(address) and not addresses.find(path.strip("/"), path):
            message = place.message or f"{address!r} leads to nothing that is published"
            hint = place.hint or "addresses are those of the site, and begin with '/'"
            yield replace(place, message=message, hint=hint, warning=True)


def _addresses(config: Config, inventory: Inventory, theme: Theme, content: Content) -> Addresses:
    """Return where every source file is published."""
    folders = inventory.folders.values()
    files = {document.source: unquote(document.url) for document in content.documents.values()}
    files |= {file.source: f"/{path}" for path, file in content.static.items()}
    files |= {f"assets/{name}": f"/{asset.published}" for name, asset in theme.assets.items()}
    old = {f"/{name}/*" for name in config.redirects}
    old |= {path for document in content.documents.values() for path in document.redirect_from}
    names = frozenset(folder.name for folder in folders if folder.is_collection)
    patterns = [app.name for app in config.apps]
    return Addresses(
        config.source,
        config.registry.collections,
        files,
        names,
        frozenset(folder.name for folder in folders if not folder.is_collection),
        frozenset(
            f"{folder.name}/{file}"
            for folder in folders for file in folder.files if is_picture(file)
        ),
        frozenset(n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)),
        frozenset(old | LISTS),
        config.pages.repository,
        config.pages.branch,
    )  # fmt: skip
