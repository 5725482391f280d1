"""What is published: the files of a built site, and the rules that a host needs for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from builder.errors import ContentError
from builder.fingerprint import code_key, fingerprint
from builder.oci.digest import Digest, DigestError, VerifiedReader
from builder.oci.mediatype import OCTET_STREAM
from builder.output import Entry
from builder.publish.plan import Half, in_half
from builder.registry.places import place_of
from builder.targets.base import Address, SideFile, Target
from builder.write.lookup import BuiltSite


@dataclass(frozen=True, slots=True)
class Candidate:
    """A built site, or one half of it, that a destination may have already.

    That can be told without reading what each file is.
    """

    built: BuiltSite
    target: Target
    address: Address
    half: Half = ""

    def key(self) -> str:
        """Return what identifies its entries: equal for equal ones made by equal code."""
        name = self.target.capabilities.name
        return fingerprint(self.built.key(), code_key(), name, self.address, self.half)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield path and bytes of every file, in no order."""
        return (item for item in self.built.sizes() if in_half(item[0], self.half))

    def site(self) -> Site:
        """Return it with all that is known of each file.

        There each address has a file of its name: what lies elsewhere is not published twice.
        """
        found = [entry for entry in self.built.content() if in_half(entry.path, self.half)]
        places = {entry.copy_of for entry in found if entry.copy_of == place_of(entry.path)}
        entries = tuple(entry for entry in found if entry.path not in places)
        return Site(entries, self.target, self.address, self.built.open)


@dataclass(frozen=True, slots=True)
class Site:
    """A built site, or one half of it.

    `entries` are in byte order of their paths, without the rules that the
    target adds: those depend on what else stays at the destination.
    """

    entries: tuple[Entry, ...]
    target: Target
    address: Address
    read: Callable[[Entry], BinaryIO]
    made: dict[str, bytes] = field(default_factory=dict)  # files that are not in the built folder

    @property
    def has_tags(self) -> bool:
        """Whether this is more than the half with the pages."""
        return any(entry.path.startswith("v2/") for entry in self.entries)

    def with_rules(self, more: Iterable[Entry] = ()) -> tuple[Site, dict[str, bytes]]:
        """Return the site with the target's rules in it, and the rules that lie beside a site.

        They are made for all that is published: `more` is what stays of
        earlier releases.
        """
        everything = _by_path([*self.entries, *more])
        beside: dict[str, bytes] = {}
        inside: list[SideFile] = []
        for file in self.target.side_files(everything, self.address):
            if file.in_site:
                inside.append(file)
            else:
                beside[file.path] = file.data
        return self.adding({file.path: file.data for file in inside}), beside

    def adding(self, files: dict[str, bytes], media_type: str = OCTET_STREAM) -> Site:
        """Return the site with more files, whose bytes are here."""
        rows = [made_entry(path, data, media_type) for path, data in files.items()]
        entries = tuple(_by_path([*self.entries, *rows]))
        return Site(entries, self.target, self.address, self.read, {**self.made, **files})

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry, not yet verified; raises ContentError when they are gone."""
        if entry.path in self.made:
            return BytesIO(self.made[entry.path])
        try:
            return self.read(entry)
        except FileNotFoundError:
            raise _changed(entry, "is gone") from None


def verified(entry: Entry, stream: BinaryIO) -> CheckedReader:
    """Return a reader of `stream` that raises ContentError when it is not the entry's bytes."""
    return CheckedReader(entry, stream)


class CheckedReader:
    """A reader of an entry's bytes that finds out when somebody changed them."""

    def __init__(self, entry: Entry, stream: BinaryIO) -> None:
        self._entry = entry
        self._reader = VerifiedReader(stream, Digest(entry.digest), entry.size)

    def read(self, count: int = 1 << 20) -> bytes:
        """Return up to `count` bytes, b"" at the verified end; raises ContentError."""
        try:
            return self._reader.read(count)
        except DigestError:
            raise _changed(self._entry, "is not what was built") from None


def made_entry(path: str, data: bytes, media_type: str) -> Entry:
    """Return the entry of a file whose bytes are here."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Entry(path, media_type, (), digest, len(data))


def _by_path(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path.encode())


def _changed(entry: Entry, how: str) -> ContentError:
    hint = "somebody changed the built folder: build again"
    return ContentError.at(entry.path, f"{how}, in the built site", hint)
