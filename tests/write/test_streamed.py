"""Bodies that are made piece by piece: written once, compared without being made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.output import Bundle, Claim, Entry, Output, Streamed
from builder.write.destination import Change
from builder.write.folder import Folder
from builder.write.record import Record
from builder.write.writer import Task, write_bundle

PIECES = [b"one ", b"two ", b"three"]


class Maker:
    """Counts how often a body is made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Iterator[bytes]:
        self.made += 1
        yield from PIECES


def write(root: Path, maker: Maker, known: dict[str, Entry], *, mark: str = "m") -> Entry:
    folder = Folder(root)
    folder.claim()
    folder.open(Record(None))
    bundle = Bundle("x", "", list, (Claim("x/", "here"),))
    body = Streamed(maker, len(b"".join(PIECES)))
    output = Output("x/large.tar", "application/x-tar", body, "here", mark)
    task = Task(bundle, known, trusted=bool(known))
    made = write_bundle(task, [output], folder)
    paths = [item.path for item in made.entries]
    folder.publish(Change(made.written, paths, (), "0" * 32, lambda: paths), lambda: None)
    (entry,) = made.entries
    return entry


def test_it_is_written_whole_and_made_once(tmp_path: Path) -> None:
    maker = Maker()
    entry = write(tmp_path / "site", maker, {})
    file = tmp_path / "site/x/large.tar"
    assert file.read_bytes() == b"one two three"
    assert (entry.size, entry.digest[:7], maker.made) == (13, "sha256:", 1)
    again = write(tmp_path / "site", maker, {entry.path: entry})
    assert (again, maker.made) == (entry, 1)
    write(tmp_path / "site", maker, {entry.path: entry}, mark="other")
    assert maker.made == 2


def test_without_a_record_an_equal_file_is_left_alone(tmp_path: Path) -> None:
    maker = Maker()
    entry = write(tmp_path / "site", maker, {})
    file = tmp_path / "site/x/large.tar"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    assert write(tmp_path / "site", maker, {}) == entry
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    assert not (tmp_path / "site/.builder-tmp").exists()
