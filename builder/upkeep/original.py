"""A registry of the original static kind as it lies in its checkout.

Its collections are folders at the root of the repository, at any depth,
beside Jekyll's own; later ones lie below `collections/`. What makes a folder
a collection is `manifests/` with a folder for each tag, or a README with the
page layout of one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import frontmatter
from builder.errors import ContentError
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.model import RegistryOptions
from builder.registry.scan import OWN_FOLDERS, README
from builder.registry.schema import COLLECTION_KEYS, TAG_KEYS, check_collection, check_keys
from builder.storage.local import open_regular

CONFIG = "_config.yml"
_BELOW = "collections"
_JEKYLLS = frozenset({"assets", "node_modules", "vendor"})
# What of the settings says whose registry this is and where it is served.
_SETTINGS = ("title", "description", "url", "baseurl", "repository", "maintainer", "maintainers",
             "keywords", "author", "email", "twitter", "lang")  # fmt: skip
_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Original:
    """A checkout: its collections by name with the folder each is in, and what is none.

    `collections` maps names to `.` or `collections`, the folder that names
    begin at; `left_out` are the paths of the checkout's root that hold none.
    """

    folder: Path
    collections: dict[str, str]
    left_out: tuple[str, ...]

    def collection(self, name: str) -> CollectionFolder:
        """Return the folder of a collection, to read from."""
        place = self.folder / self.collections[name]
        return CollectionFolder(RegistryOptions(Path(), str(place)), name)

    def path(self, name: str) -> str:
        """Return where a collection lies below the checkout's root."""
        return name if self.collections[name] == "." else f"{self.collections[name]}/{name}"


def find_original(folder: Path) -> Original:
    """Return the registry in a checkout; raises ContentError when it holds no collection."""
    if not folder.is_dir():
        raise ContentError.at(str(folder), "there is no such folder")
    found: dict[str, str] = {}
    for path in sorted(_collections(folder, "")):
        below = path.startswith(f"{_BELOW}/")
        found.setdefault(
            path.removeprefix(f"{_BELOW}/") if below else path, _BELOW if below else "."
        )
    if not found:
        hint = "a static registry holds NAME/manifests/TAG/, at its root or below collections/"
        raise ContentError.at(str(folder), "holds no collection", hint)
    original = Original(folder, dict(sorted(found.items())), ())
    tops = {original.path(name).partition("/")[0] for name in found} | {".git", CONFIG}
    return Original(folder, original.collections, tuple(sorted(set(os.listdir(folder)) - tops)))


def _collections(root: Path, inner: str) -> Iterator[str]:
    """Yield the paths of all collections below a folder; links are not followed."""
    with os.scandir(root / inner) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    if inner and inner != _BELOW and _is_collection(root / inner, names):
        yield inner
    for name in names:
        if name not in OWN_FOLDERS and name not in _JEKYLLS and name[0] not in "._":
            yield from _collections(root, f"{inner}/{name}" if inner else name)


def _is_collection(folder: Path, names: list[str]) -> bool:
    if TAGS in names and any(path.is_dir() for path in (folder / TAGS).iterdir()):
        return True
    try:
        with open_regular(folder / README, README) as stream:
            return frontmatter.parse(stream.read(_MAX), README).keys.get("layout") == "collection"
    except (ContentError, FileNotFoundError):
        return False


def cleaned(text: str, path: str, name: str, *, tag: bool) -> str:
    """Return a README without the keys that mean nothing here, all else byte for byte.

    A page's place follows from its folder: `permalink` and foreign layouts
    go, and so does what is of a wrong type. `maintainer`, as Jekyll's own
    settings call it, becomes `maintainers`. Raises ContentError for front
    matter that cannot be read.
    """
    matter = frontmatter.parse(text.encode(), path)
    problems = check_keys(matter, TAG_KEYS) if tag else check_collection(matter, name)
    lines = {problem.line for problem in problems if not problem.warning}
    known = TAG_KEYS if tag else COLLECTION_KEYS
    for key in matter.keys:
        if matter.line(key) in lines and key in known:
            text = frontmatter.drop_key(text, key)
    if not tag and "maintainer" in matter.keys and "maintainers" not in matter.keys:
        head, fence, body = text.partition("\n---")
        text = re.sub(r"^maintainer:", "maintainers:", head, flags=re.MULTILINE) + fence + body
    return text


def settings(folder: Path) -> dict[str, Any]:
    """Return what of the old `_config.yml` is taken over; raises ContentError for no YAML."""
    try:
        with open_regular(folder / CONFIG, str(folder / CONFIG)) as stream:
            text = frontmatter.decode(stream.read(_MAX), str(folder / CONFIG))
    except FileNotFoundError:
        return {}
    keys = frontmatter.load_yaml(text, str(folder / CONFIG)).value
    found = keys if isinstance(keys, dict) else {}
    return {key: found[key] for key in _SETTINGS if found.get(key) not in (None, "", [])}


def with_settings(text: str, keys: dict[str, Any], *, over: bool) -> str:
    """Return the text of a `_config.yml` with the keys of another.

    A key that it has keeps its value unless `over` says otherwise.
    """
    for key, value in keys.items():
        line = f"{key}: {json.dumps(value, ensure_ascii=False)}\n"
        there = re.compile(rf"^{re.escape(key)}:.*\n?(?:[ \t-]+.*\n?)*", re.MULTILINE)
        if there.search(text) is None:
            text = f"{text.rstrip()}\n{line}" if text.strip() else line
        elif over:
            text = there.sub(lambda _, line=line: line, text, count=1)  # type: ignore[misc]
    return text
