"""The log of tag moves: what each tag ever pointed to, so that nobody can unsay it.

`moves.json` is the head of a Merkle tree over all moves (RFC 6962, section
2.1), in the way of C2SP's tlog-tiles (https://c2sp.org/tlog-tiles):

    {"size": 300, "root": "<hex>", "tiles": ["<hex>"]}

`api/moves/0.json` has the first 256 moves, `api/moves/1.json` the next ones,
and so on; of a file that is full, `tiles` has the root of its 256 moves. A
move is one line, whose exact bytes are the leaf:

    ["2024-05-01T12:00:00Z","vanessa/greeting","1.0","sha256:<old>","sha256:<new>"]

with null for a tag that was not there, or is not any more. The head is a file
of the release and as such signed with it. Nothing here reads or writes a disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from builder.errors import ContentError
from builder.oci import strictjson
from builder.oci.digest import Digest, DigestError
from builder.oci.reference import is_referrers_tag
from builder.output import Entry
from builder.publish.release import TIME
from builder.targets.rules import kind_of

HEAD = "moves.json"
FOLDER = "api/moves/"
TILE = 256  # moves in a file
_LEVEL = 8  # of the root of a full file: it has 2**8 leaves
_MOST = 1 << 24  # moves that are read
_HINT = "somebody changed the log: compare it with what `verify` saw, and put it back"
Read = Callable[[str], bytes]


class Move(NamedTuple):
    """One move of one tag; `before` and `after` are digests, empty for a tag that is not there."""

    time: str
    name: str
    tag: str
    before: str
    after: str

    def to_line(self) -> bytes:
        """Return the move as the log has it, without an end of line."""
        row = [*self[:3], self.before or None, self.after or None]
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Log:
    """All moves, oldest first."""

    moves: tuple[Move, ...] = ()

    def tags(self) -> dict[tuple[str, str], str]:
        """Return the digest that each tag points to after all moves, by name and tag."""
        found = {(move.name, move.tag): move.after for move in self.moves}
        return {key: digest for key, digest in found.items() if digest}

    def root(self, size: int | None = None) -> str:
        """Return the root of the first `size` moves (all), as hex."""
        return self._tree(size).root().hex()

    def _tree(self, size: int | None = None) -> _Tree:
        tree = _Tree()
        for move in self.moves[:size]:
            tree.add(move.to_line())
        return tree

    def began_with(self, head: str) -> bool:
        """Tell whether the log, after some number of its moves, had a head of this digest."""
        # Nearly always it is the whole log: then nothing else is computed.
        latest = self._tree().head()
        return Digest.of(latest) == head or any(Digest.of(one) == head for one in self._heads())

    def _heads(self) -> Iterator[bytes]:
        tree = _Tree()
        yield tree.head()
        for move in self.moves:
            tree.add(move.to_line())
            yield tree.head()

    def moved(self, now: Mapping[tuple[str, str], str], time: str) -> Log:
        """Return the log with the moves that lead from its tags to those of `now`, in order."""
        old = self.tags()
        changed = sorted(key for key in old.keys() | now.keys() if old.get(key) != now.get(key))
        more = (Move(time, *key, old.get(key, ""), now.get(key, "")) for key in changed)
        return Log((*self.moves, *more))

    def to_files(self) -> dict[str, bytes]:
        """Return the files of the log by path; `read_log` is the inverse."""
        files = {HEAD: self._tree().head()}
        for start in range(0, len(self.moves), TILE):
            lines = [move.to_line() for move in self.moves[start : start + TILE]]
            files[f"{FOLDER}{start // TILE}.json"] = b"[\n" + b",\n".join(lines) + b"\n]\n"
        return files


def paths_of(head: bytes) -> list[str]:
    """Return the paths of a log's files, of which `head` is the first; raises ContentError."""
    size = _read_head(head)[0]
    return [HEAD, *(f"{FOLDER}{number}.json" for number in range(-(-size // TILE)))]


def tags_of(digests: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return what each tag of a site points to, by name and tag, of its paths and digests."""
    found = {}
    for path, digest in digests:
        name, _, tag = path.removeprefix("v2/").rpartition("/manifests/")
        if kind_of(path) == "tag" and not is_referrers_tag(tag):
            found[name, tag] = digest
    return found


def read_log(read: Read) -> Log:
    """Return the log in the files that `read` gets, checked against its own head.

    A file may have more moves than the head says: whoever adds some writes the
    head last.

    Raises ContentError for what is damaged or does not fit together, and what
    `read` raises.
    """
    head = read(HEAD)
    size, root, tiles = _read_head(head)
    moves: list[Move] = []
    for path in paths_of(head)[1:]:
        moves += _moves(_parsed(read(path), path), path)
    log = Log(tuple(moves[:size]))
    made = json.loads(log.to_files()[HEAD])
    if made != {"size": size, "root": root, "tiles": tiles}:
        message = f"its {size} moves have another root than it says"
        raise ContentError.at(HEAD, message, _HINT)
    _check_order(log)
    return log


def next_log(
    entries: Iterable[Entry],
    time: str,
    read: Callable[[str], bytes | None],
    known: Mapping[str, str],
    label: str,
) -> dict[str, bytes]:
    """Return the files of the log that follows the one at a destination, for a site's tags.

    `read` gets a file of the destination, None where it is not; `known` are the
    digests that the release there lists, empty where nobody knows. The log may
    be longer than that release's: a run that ended early wrote it before it
    moved any tag. Raises ContentError naming `label` for a log that somebody
    changed.
    """

    def present(path: str) -> bytes:
        if (data := read(path)) is None:
            raise ContentError.at(f"{label}/{path}", "is gone", _HINT)
        return data

    old = Log() if HEAD not in known and read(HEAD) is None else read_log(present)
    if HEAD in known and not old.began_with(known[HEAD]):
        message = "does not begin with the moves that the last release lists"
        raise ContentError.at(f"{label}/{HEAD}", message, _HINT)
    own = ((entry.path, entry.digest) for entry in entries if not entry.location)
    return old.moved(tags_of(own), time).to_files()


def _read_head(data: bytes) -> tuple[int, str, list[str]]:
    """Return how many moves a head speaks of, their root, and those of full files."""
    head = _parsed(data, HEAD)
    try:
        size, root, tiles = int(head["size"]), str(head["root"]), list(head["tiles"])
    except (KeyError, TypeError, ValueError):
        raise ContentError.at(HEAD, "is not the head of a log of tag moves", _HINT) from None
    if not 0 <= size <= _MOST:
        raise ContentError.at(HEAD, f"says that it has {size} moves", _HINT)
    return size, root, tiles


def _check_order(log: Log) -> None:
    """Raise ContentError where a move does not begin where the tag's last one ended."""
    tags: dict[tuple[str, str], str] = {}
    for number, move in enumerate(log.moves):
        if tags.get((move.name, move.tag), "") != move.before:
            path = f"{FOLDER}{number // TILE}.json"
            message = f"move {number} of {move.name}:{move.tag} is not from where the tag was"
            raise ContentError.at(path, message, _HINT)
        tags[move.name, move.tag] = move.after


def _parsed(data: bytes, path: str) -> Any:
    try:
        return strictjson.loads(data, what=path)
    except strictjson.StrictJSONError as error:
        raise ContentError.at(path, error.message) from None


def _moves(rows: Any, path: str) -> list[Move]:
    try:
        return [_move(*row) for row in rows]
    except (TypeError, ValueError, DigestError):
        raise ContentError.at(path, "is not a list of moves", _HINT) from None


def _move(time: Any, name: Any, tag: Any, before: Any, after: Any) -> Move:
    if not TIME.fullmatch(time) or not isinstance(name, str) or not isinstance(tag, str):
        raise ValueError
    ends = (Digest(end) if end is not None else "" for end in (before, after))
    return Move(time, name, tag, *ends)


class _Tree:
    """A Merkle tree that grows to the right: the roots of its complete subtrees."""

    def __init__(self) -> None:
        self._size = 0
        self._complete: list[tuple[int, bytes]] = []  # each with its level
        self._tiles: list[str] = []

    def add(self, line: bytes) -> None:
        """Add a leaf."""
        self._size += 1
        level, total = 0, hashlib.sha256(b"\0" + line).digest()
        while self._complete and self._complete[-1][0] == level:
            total = _node(self._complete.pop()[1], total)
            level += 1
            if level == _LEVEL:
                self._tiles.append(total.hex())
        self._complete.append((level, total))

    def root(self) -> bytes:
        """Return the hash of the whole tree."""
        if not self._complete:
            return hashlib.sha256(b"").digest()
        (_, total), *rest = reversed(self._complete)
        for _, left in rest:
            total = _node(left, total)
        return total

    def head(self) -> bytes:
        """Return `moves.json` for the leaves so far."""
        head = {"size": self._size, "root": self.root().hex(), "tiles": self._tiles}
        return json.dumps(head, indent=1).encode() + b"\n"


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
