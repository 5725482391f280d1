"""The record of a build is right or is none: what a disk altered in it is never believed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from builder.errors import BuilderError
from builder.output import Entry
from builder.storage.cache import guarded
from builder.write.record import Known, Record
from tests.conftest import read_tree

BUNDLES = [f"collections/team/app-{number}" for number in range(12)]


class Flips:
    """Single bits, flipped one at a time in a file that is sound otherwise."""

    def __init__(self, sound: bytes, seed: int) -> None:
        self._sound = sound
        # Most of what is zero is in use by nothing.
        self._places = [place for place, byte in enumerate(sound) if byte]
        self._random = Random(seed)  # noqa: S311 - the same in each run

    def flip(self, file: Path) -> str:
        """Write the file with another bit flipped; return which."""
        data = bytearray(self._sound)
        place, bit = self._random.choice(self._places), self._random.randrange(8)
        data[place] ^= 1 << bit
        file.write_bytes(data)
        return f"bit {bit} of byte {place}"


def fill(path: Path) -> None:
    with closing(Record(path)) as record:
        for name in BUNDLES:
            entries = [
                Entry(f"{name}/{page}", "text/html", (("Link", "<x>"),), f"sha256:{page:064}", page)
                for page in range(5)
            ]
            record.replace_outputs(name, (), entries)
            record.save_bundle(name, Known(f"mark of {name}", "key", '{"title": "An app"}'))
        record.set_meta("identity", "0" * 32)
        record.set_meta("warnings", "[]")
        record.commit()


def everything(path: Path) -> object:
    with guarded(path), closing(Record(path)) as record:
        return (
            record.bundles(),
            sorted(record.facts()),
            [record.outputs_of(name) for name in BUNDLES],
            list(record.content()),
            list(record.paths()),
            [record.meta(key) for key in ("identity", "warnings")],
        )


def test_a_flipped_bit_is_seen_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    fill(path)
    flips = Flips(path.read_bytes(), seed=11)
    whole = everything(path)
    seen = 0
    for _ in range(200):
        flipped = flips.flip(path)
        try:
            found = everything(path)
        except BuilderError:
            seen += 1
            continue
        with closing(sqlite3.connect(path)) as database:
            made_anew = not database.execute("SELECT count(*) FROM bundles").fetchone()[0]
        assert made_anew or found == whole, flipped
        seen += made_anew
    assert seen > 100


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM bundles WHERE name LIKE '%-3'",
        "DELETE FROM outputs WHERE path LIKE '%-3/1'",
        "DELETE FROM meta WHERE key = 'warnings'",
        "UPDATE outputs SET bundle = 'other' WHERE path LIKE '%-3/1'",
    ],
)
def test_a_lost_row_is_missed(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "record.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(loss)
    with pytest.raises(BuilderError, match="was damaged, and is made anew"):
        everything(path)
    assert not path.exists()


def test_who_reads_an_altered_row_is_told(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("UPDATE outputs SET media_type = 'text/plain'")
    with closing(Record(path)) as record, pytest.raises(BuilderError) as caught:
        record.find(f"{BUNDLES[0]}/1")
    assert "rows are lost or damaged\n  hint: build again" in str(caught.value)


@pytest.mark.parametrize("target", ["nginx", "github-pages"])
def test_a_build_with_a_flipped_bit_makes_what_a_first_one_makes(
    greeting: Path, build: Callable[..., int], target: str, tmp_path: Path
) -> None:
    """The edit takes a page away: what the record forgot would stay published."""
    (greeting / "about.md").write_text("---\ntitle: About\n---\nWords.\n")
    flags = ("-t", target, "-j1")
    assert build(*flags) == 0
    (record,) = (greeting / ".builder-cache/records").glob("*.sqlite")
    kept = shutil.copytree(greeting, tmp_path / "kept", symlinks=True)
    flips = Flips(record.read_bytes(), seed=29)
    (greeting / "about.md").unlink()
    clean(greeting)
    assert build(*flags) == 0
    good = sites(greeting)
    for _ in range(5):
        clean(greeting)
        for folder in (".builder-cache", *(path.name for path in kept.glob("_site*"))):
            shutil.copytree(kept / folder, greeting / folder, symlinks=True)
        flipped = flips.flip(record)
        for _ in range(2):
            assert build(*flags) == 0, flipped
            assert sites(greeting) == good, flipped


def sites(registry: Path) -> dict[str, dict[str, bytes]]:
    return {path.name: read_tree(path) for path in sorted(registry.glob("_site*"))}


def clean(registry: Path) -> None:
    for path in (registry / ".builder-cache", *registry.glob("_site*")):
        shutil.rmtree(path)
