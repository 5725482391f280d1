"""What a target is: one kind of host, told in capabilities and two functions.

A target knows paths, media types, headers and redirects; it knows nothing of
manifests or Markdown. Every target is one module with a value called
`TARGET`, found by name in `targets.open_target`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from builder.output import Capabilities, Entry, Output


@dataclass(frozen=True, slots=True)
class Address:
    """Where the site lives: `https://example.org` and `/registry` (or empty).

    Pages are published below `baseurl`, `/v2/` always at the host's root.
    """

    url: str = ""
    baseurl: str = ""


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file that a host needs beside the content: a rules file, a config to include.

    `in_site` files go into the destination (`_headers`, `.nojekyll`), the
    others to `<destination>.<target>/`.
    """

    path: str
    data: bytes
    in_site: bool = False


class Target(Protocol):
    """One kind of host."""

    @property
    def capabilities(self) -> Capabilities:
        """What the host can do."""

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield what must be published so that the host answers for `output`.

        A pure function of one output: a folder's answer may gain an
        `index.html` copy, a redirect may become a page.
        """

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield the rules that make the host answer as `entries` say.

        `entries` are all that is published, in byte order of their paths, and
        may be read once only.
        """
