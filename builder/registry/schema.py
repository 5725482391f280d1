"""What front matter below `collections/` may say: known keys and their types.

An unknown key is kept for the templates; one that looks like a slip of a
known key is a warning. What a stranger could use to leave their own folder
(`permalink`, a foreign page layout, a foreign redirect) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from builder.errors import Problem, did_you_mean
from builder.frontmatter import FrontMatter, KeyPath

LAYOUTS = ("collection", "namespace", "tag", "tags", "manifests/singularity")
_URL = re.compile(r"https?://[^\s\"'<>`\\^{|}@]+")
_LEGACY_LAYER_KEYS = ("size", "digest", "url")

Check = Callable[[Any], str]


def _text(value: Any) -> str:
    return "" if isinstance(value, str | int) and not isinstance(value, bool) else "must be a text"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _url(value: Any) -> str:
    fits = isinstance(value, str) and _URL.fullmatch(value)
    return "" if fits else "must be an http or https URL without spaces, quotes or a password"


def _texts(value: Any) -> str:
    if isinstance(value, list):
        return next((fault for fault in map(_text, value) if fault), "")
    return _text(value) and "must be a text or a list of texts"


def _people(value: Any) -> str:
    people = value if isinstance(value, list) else [value]
    for person in people:
        if isinstance(person, dict):
            if not all(_text(item) == "" for item in person.values()):
                return "must hold texts such as name, github, email"
        elif _text(person):
            return "must be a name, or a list of names"
    return ""


def _date(value: Any) -> str:
    return "" if isinstance(value, str) and is_date(value) else "is not a date such as 2024-05-31"


def _mirror(value: Any) -> str:
    fits = (
        isinstance(value, dict)
        and not _text(value.get("from"))
        and not _text(value.get("digest"))
        and not _texts(value.get("platforms") or [])
    )
    return "" if fits else "must be a mapping of from, digest and platforms, as 'sync' writes it"


def _layout(value: Any) -> str:
    return "" if value in LAYOUTS else f"{value!r} is not a page layout of a collection"


def _refused(value: Any) -> str:  # noqa: ARG001 - every check has this shape
    return "is not allowed below collections/: a page's place follows from its folder"


COLLECTION_KEYS: Mapping[str, Check] = {
    "title": _text,
    "description": _text,
    "maintainers": _people,
    "license": _text,
    "url": _url,
    "source": _url,
    "documentation": _url,
    "keywords": _texts,
    "logo": _text,
    "deprecated": _text,
    "hidden": _flag,
    "redirect_from": _texts,
    "type": _text,
    "immutable": _flag,
    "created": _date,
    "date": _date,
    "published": _flag,
    "name": _text,
    "layout": _layout,
    "permalink": _refused,
}

TAG_KEYS: Mapping[str, Check] = {
    "description": _text,
    "created": _date,
    "yanked": _text,
    "platforms-note": _text,
    "inputs": _text,
    "mirror": _mirror,
    "moves": _texts,
    "title": _text,
    "name": _text,
    "layout": _layout,
    "permalink": _refused,
}

# Read in tags whose manifest stands in front matter; see `registry.legacy`.
LEGACY_KEYS = ("size", "digest", "layers")


def is_date(text: str) -> bool:
    """Tell whether `text` is a calendar day or moment that exists, in ISO 8601."""
    try:
        if len(text) == 10:
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(re.sub(r" (?=[+-]\d)", "", text))
    except ValueError:
        return False
    return True


def check_keys(matter: FrontMatter, known: Mapping[str, Check]) -> Iterator[Problem]:
    """Yield a problem for each key of a wrong type, a warning for each likely slip."""
    for key, value in matter.keys.items():
        line = matter.line(key)
        if key in known:
            if value is not None and (fault := known[key](value)):
                hint = f"use one of {', '.join(LAYOUTS)}" if key == "layout" else ""
                yield Problem(matter.path, line, f"{key}: {fault}", hint)
        elif hint := did_you_mean(key, known):
            yield Problem(matter.path, line, f"unknown key {key!r}", hint, warning=True)


def check_collection(matter: FrontMatter, name: str) -> Iterator[Problem]:
    """Yield what is wrong with a collection's or a namespace's front matter."""
    yield from check_keys(matter, COLLECTION_KEYS)
    if matter.present and not matter.keys:
        message = "the front matter is empty"
        hint = "write a title and a description, or remove the two lines of '---'"
        yield Problem(matter.path, 1, message, hint)
    said = matter.keys.get("name")
    if isinstance(said, str) and said not in (name, name.rpartition("/")[2]):
        message = f"name says {said!r}, the folder says {name!r}; the folder counts"
        yield Problem(matter.path, matter.line("name"), message, "remove 'name'", warning=True)
    yield from _foreign_redirects(matter, name)


def _foreign_redirects(matter: FrontMatter, name: str) -> Iterator[Problem]:
    for number, path in enumerate(texts(matter.keys.get("redirect_from"))):
        inside = path.strip("/")
        parts = inside.split("/")
        if inside.startswith(f"{name}/") and not {"", ".", ".."} & set(parts):
            continue
        line = matter.line("redirect_from", number)
        hint = f"only paths below /{name}/; old names belong to registry.redirects in _config.yml"
        yield Problem(matter.path, line, f"redirect_from: {path!r} is outside /{name}/", hint)


def texts(value: Any) -> list[str]:
    """Return a text or a list of texts as a list of texts."""
    if value is None:
        return []
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def whole(value: object) -> int:
    """Return a whole number, which may stand in quotes; -1 for all else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    return value if type(value) is int else -1


def legacy_problems(matter: FrontMatter) -> Iterator[Problem]:
    """Yield what is wrong with a manifest written in front matter."""
    yield from _size_problem(matter, ("size",), matter.keys.get("size"))
    layers = matter.keys.get("layers")
    if not isinstance(layers, list) or not layers:
        message = "layers: must be a list of layers, each with size, digest and url"
        yield Problem(matter.path, matter.line("layers"), message)
        return
    for number, layer in enumerate(layers):
        at: KeyPath = ("layers", number)
        if not isinstance(layer, dict):
            yield Problem(matter.path, matter.line(*at), "layers: each must have size, digest, url")
            continue
        missing = [key for key in _LEGACY_LAYER_KEYS if key not in layer]
        if missing:
            message = f"layers: the layer has no {' and no '.join(missing)}"
            yield Problem(matter.path, matter.line(*at), message)
        yield from _size_problem(matter, (*at, "size"), layer.get("size"))
        if "url" in layer and (fault := _url(layer["url"])):
            yield Problem(matter.path, matter.line(*at, "url"), f"url: {fault}")


def _size_problem(matter: FrontMatter, at: KeyPath, value: Any) -> Iterator[Problem]:
    if value is None or 0 <= whole(value) < 2**63:
        return
    yield Problem(matter.path, matter.line(*at), f"size: must be a whole number, not {value!r}")
