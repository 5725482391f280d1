"""What is in a release, as `releases/7.entries` says it: who made it, then a row for each file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import ContentError
from builder.output import Entry
from builder.publish.release import LISTS, RELEASE
from builder.storage.local import write_durably

ENTRIES = ".entries"
_OF_RELEASE = (f'["{RELEASE}"'.encode(), f'["{LISTS}'.encode())


def write_entries(path: Path, maker: str, rows: Iterable[tuple[Entry, bool]]) -> None:
    """Write who made a release and its entries, each with whether it is the release's own."""
    text = f"{maker}\n" + "".join(_row(entry, mine=mine) for entry, mine in rows)
    write_durably(path, text.encode())


def read_entries(path: Path) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of a release: its own, and what it carries on of earlier ones.

    Raises ContentError when they are damaged.
    """
    own: list[Entry] = []
    carried: list[Entry] = []
    with _opened(path) as (_, lines):
        for line in lines:
            name, kind, headers, digest, size, location, mine = json.loads(line)
            pairs = tuple((header, value) for header, value in headers)
            entry = Entry(name, kind, pairs, digest, size, location)
            (own if mine else carried).append(entry)
    return own, carried


def count_own(path: Path) -> int:
    """Return how many files a release has of its own, without what it says of itself."""
    with _opened(path) as (_, lines):
        own = (line for line in lines if line.endswith(b",true]\n"))
        return sum(not line.startswith(_OF_RELEASE) for line in own)


def read_maker(path: Path) -> str:
    """Return the text that tells which code made a release, for which host, and of what."""
    with _opened(path) as (maker, _):
        return maker


def damage(path: Path, entries: Path, message: str) -> ContentError:
    """Return the error for a file of the release that `entries` lists."""
    return ContentError.at(str(path), message, f"remove {entries} and publish again")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Open the entries of a release: who made it, and its lines. Raises ContentError."""
    try:
        with path.open("rb") as lines:
            yield next(lines, b"").decode().rstrip("\n"), lines
    except (ValueError, TypeError):
        raise damage(path, path, "is damaged") from None


def _row(entry: Entry, *, mine: bool) -> str:
    row = (entry.path, entry.media_type, entry.headers, entry.digest, entry.size,
           entry.location, mine)  # fmt: skip
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
