"""`registry.sync`: what is mirrored from other registries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.config.reader import Reader
from builder.errors import UsageError, did_you_mean
from builder.frontmatter import KeyPath
from builder.oci.platform import Platform
from builder.oci.reference import name_fault
from builder.remote.reference import parse_address
from builder.sync.model import Mirror
from builder.sync.tags import rule_fault

KEYS = ("from", "to", "tags", "exclude", "newest", "platforms", "referrers", "prune", "keep",
        "floor", "insecure")  # fmt: skip
_RULES = ("tags", "exclude", "keep")
_NUMBERS = {"newest": 1, "floor": 0}
_FLAGS = ("referrers", "prune", "insecure")


def mirror_options(items: Any, reader: Reader) -> tuple[Mirror, ...]:
    """Return `registry.sync`: a list of mappings, or of repositories alone.

    What is wrong has become problems of `reader`.
    """
    found = []
    for number, item in enumerate(items if isinstance(items, list) else []):
        at = ("registry", "sync", number)
        fields = {"from": item} if isinstance(item, str) else item
        if not isinstance(fields, dict) or not fields.get("from"):
            hint = "write '- from: docker.io/library/alpine'"
            reader.problem(at, "registry.sync holds mappings with 'from'", hint)
            continue
        before = len(reader.problems)
        mirror = _mirror(fields, at, reader)
        if len(reader.problems) == before:
            found.append(mirror)
    return tuple(found)


def _mirror(fields: Mapping[str, Any], at: KeyPath, reader: Reader) -> Mirror:
    _check_keys(fields, at, reader)
    sources = tuple(_sources(fields["from"], at, reader))
    return Mirror(
        sources,
        _to(fields.get("to"), sources, at, reader),
        tags=_texts(fields.get("tags")) or ("*",),
        exclude=_texts(fields.get("exclude")),
        newest=fields.get("newest") or 0,
        platforms=tuple(_platforms(fields.get("platforms"), at, reader)),
        referrers=fields.get("referrers") is True,
        prune=fields.get("prune") is True,
        keep=_texts(fields.get("keep")),
        floor=1 if fields.get("floor") is None else fields["floor"],
        insecure=fields.get("insecure") is True,
        place=reader.place(at),
    )


def _texts(value: Any) -> tuple[str, ...]:
    """Return a text or a list of texts; numbers are the text that they look like."""
    if value is None:
        return ()
    return tuple(map(str, value if isinstance(value, list) else [value]))


def _check_keys(fields: Mapping[str, Any], at: KeyPath, reader: Reader) -> None:
    for key, value in fields.items():
        place = (*at, key)
        said = f"registry.sync: {key}"
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"known keys: {', '.join(KEYS)}"
            reader.problem(place, f"registry.sync: unknown key {key!r}", hint)
        elif value is None:
            continue
        elif key in _FLAGS and not isinstance(value, bool):
            reader.problem(place, f"{said} must be true or false")
        elif key in _NUMBERS and (type(value) is not int or value < _NUMBERS[key]):
            reader.problem(place, f"{said} must be a number from {_NUMBERS[key]}")
        elif key in _RULES:
            for rule in _texts(value):
                if fault := rule_fault(rule):
                    reader.problem(place, f"{said}: {fault}", "write '3.*', or '>=3.18, <4'")


def _sources(value: Any, at: KeyPath, reader: Reader) -> list[tuple[str, str]]:
    """Return the host and the name or pattern of each repository."""
    found = []
    for text in _texts(value):
        place = text.removeprefix("docker://")
        try:
            host, name, tag = parse_address("//" + place.replace("*", "0"))
        except UsageError:
            host = name = tag = ""
        if not host or tag:
            hint = "write HOST/NAME or HOST/PATTERN, as in quay.io/team/*; tags stand in 'tags'"
            reader.problem((*at, "from"), f"registry.sync: {text!r} is not a repository", hint)
        else:
            found.append((host, place[-len(name) :]))
    return found


def _to(value: Any, sources: tuple[tuple[str, str], ...], at: KeyPath, reader: Reader) -> str:
    """Return what collections are called, with `*` for the name there."""
    to = "*" if value is None else str(value).strip("/")
    several = len(sources) > 1 or any("*" in name for _, name in sources)
    if to.count("*") > 1 or name_fault(to.replace("*", "x")):
        reader.problem((*at, "to"), f"registry.sync: to: {to!r} is not a collection name",
                       "write 'mirror/alpine', or 'mirror/*' for the name there")  # fmt: skip
    elif several and "*" not in to:
        reader.problem((*at, "to"), f"registry.sync: to: {to!r} is one name for several sources",
                       f"write '{to}/*', where * is the name there")  # fmt: skip
    return to


def _platforms(value: Any, at: KeyPath, reader: Reader) -> list[Platform]:
    found = []
    for text in _texts(value):
        if text == "all":
            continue
        platform = Platform.parse(text)
        if platform is None:
            message = f"registry.sync: platforms: {text!r} is not a platform"
            reader.problem((*at, "platforms"), message, "write OS/ARCH, as in linux/arm64")
        else:
            found.append(platform)
    return found
