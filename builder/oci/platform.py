"""Platforms: what an image runs on, as it is written and as it is meant.

Source: image-spec `image-index.md`, "platform". Names of one thing are made
one as containerd's `platforms` package does, whose way of writing a platform
with its version and features is used here too: `windows(10.0.17763)/amd64`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self, TypeVar

T = TypeVar("T")

# As builders and kernels call them, and as images should.
_ARCHITECTURES = {
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "i386": ("386", ""), "i686": ("386", ""),
    "aarch64": ("arm64", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6"),
}  # fmt: skip
_SYSTEMS = {"macos": "darwin"}
_PLAIN = {("amd64", "v1"), ("arm64", "v8")}  # what a name without a variant stands for
_OLDEST = {"amd64": 1, "arm": 5, "arm64": 8}  # of the variants that are counted
_VARIANT = re.compile(r"v([0-9]{1,3})(?:\.([0-9]{1,3}))?")
_TEXT = re.compile(
    r"(?P<os>[A-Za-z0-9_.-]+)(?:\((?P<version>[^()/+]*)(?P<features>(?:\+[^()/+]+)*)\))?"
    r"/(?P<architecture>[A-Za-z0-9_.-]+)(?:/(?P<variant>[A-Za-z0-9_.-]+))?"
)


@dataclass(frozen=True, slots=True)
class Platform:
    """`linux/arm64/v8`: what an image runs on, in the words that its author chose."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the platform of `OS/ARCH[/VARIANT]`, of `OS(VERSION)/ARCH`, or None."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        features = tuple(filter(None, (found["features"] or "").split("+")))
        return cls(
            found["os"], found["architecture"], found["variant"] or "", found["version"] or "",
            features,
        )  # fmt: skip

    @classmethod
    def from_json(cls, document: object) -> Self | None:
        """Return the platform of a JSON object; None for one that names nothing.

        What is no text is left out: configs hold whatever their builder wrote.
        """
        if not isinstance(document, Mapping):
            return None
        system, architecture = _text(document.get("os")), _text(document.get("architecture"))
        if not system and not architecture:
            return None
        features = document.get("os.features")
        return cls(
            system,
            architecture,
            _text(document.get("variant")),
            _text(document.get("os.version")),
            tuple(filter(None, map(_text, features if isinstance(features, list) else ()))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON shape."""
        document: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            document["os.version"] = self.os_version
        if self.os_features:
            document["os.features"] = list(self.os_features)
        if self.variant:
            document["variant"] = self.variant
        return document

    def __str__(self) -> str:
        more = "+".join((self.os_version, *self.os_features))
        system = f"{self.os}({more})" if more else self.os
        return "/".join(filter(None, (system, self.architecture, self.variant)))

    @property
    def short(self) -> str:
        """The normal form without version and features, by which lists group."""
        normal = self.normal
        return "/".join(filter(None, (normal.os, normal.architecture, normal.variant)))

    @property
    def is_known(self) -> bool:
        """False for the `unknown/unknown` that attestation manifests carry."""
        return self.os != "unknown" and self.architecture != "unknown"

    @property
    def normal(self) -> Platform:
        """The platform under the one name that all of its names have."""
        return _normal(self)

    def fits(self, wanted: Platform) -> bool:
        """Tell whether an image of this platform is one that somebody who wants `wanted` means.

        What `wanted` leaves open fits; `10.0.17763` fits every build of it.
        """
        mine, other = self.normal, wanted.normal
        version = mine.os_version
        return (
            (mine.os, mine.architecture) == (other.os, other.architecture)
            and (not wanted.variant or mine.variant == other.variant)
            and (not other.os_version or f"{version}.".startswith(f"{other.os_version}."))
            and set(other.os_features) <= set(mine.os_features)
        )


@lru_cache(maxsize=1000)  # a registry holds few, and asks for each many times
def _normal(platform: Platform) -> Platform:
    """Source: containerd's `platforms.Normalize`."""
    system = platform.os.lower()
    named, variant = platform.architecture.lower(), platform.variant.lower()
    architecture, implied = _ARCHITECTURES.get(named, (named, variant))
    variant = implied or variant
    if architecture in ("arm", "arm64") and variant.isdigit():
        variant = f"v{variant}"
    if architecture == "arm" and not variant:
        variant = "v7"
    if (architecture, variant) in _PLAIN:
        variant = ""
    system = _SYSTEMS.get(system, system) or "linux"
    return replace(platform, os=system, architecture=architecture, variant=variant)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def choose(items: Iterable[tuple[Platform | None, T]], wanted: Platform) -> list[T]:
    """Return the items that fit `wanted` best: those of its variant, else of the next older one.

    `linux/amd64` is `amd64` beside `amd64/v3`, and `linux/arm` is `arm/v7` beside `arm/v6`. A
    machine that runs `amd64/v3` runs `amd64/v2` and `amd64` too. Where no variant is wanted and
    none of these is there, all others fit.
    """
    of_any = replace(wanted, variant="")
    fitting = [(platform, item) for platform, item in items if platform and platform.fits(of_any)]
    for variant in _runnable(wanted.normal):
        if found := [item for platform, item in fitting if platform.normal.variant == variant]:
            return found
    return [] if wanted.variant else [item for _, item in fitting]


def _runnable(normal: Platform) -> Iterator[str]:
    """Yield the variants that a machine runs, its own first; empty is the plain one.

    Source: containerd's `platforms.Only`.
    """
    yield normal.variant
    newest = _VARIANT.fullmatch(normal.variant)
    oldest = _OLDEST.get(normal.architecture)
    if newest is None or oldest is None:
        return
    major, minor = int(newest[1]), int(newest[2] or 0)
    if newest[2]:
        yield from (f"v{major}.{older}" for older in range(minor - 1, 0, -1))
        yield f"v{major}"
    for older in range(major - 1, oldest - 1, -1):
        yield "" if (normal.architecture, f"v{older}") in _PLAIN else f"v{older}"
    if (normal.architecture, f"v{major}") in _PLAIN:
        yield ""
