"""The log of tag moves: written at publish, checked by whoever wants to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.errors import ContentError
from builder.publish.moves import FOLDER, HEAD, TILE, Log, Move, _Tree, next_log, read_log
from builder.publish.signing import SigningKey
from tests.conftest import write_tree
from tests.images import Image, sha256
from tests.publish.conftest import Publish
from tests.publish.fake_s3 import FakeS3
from tests.verify.published import release, served

TIME = "2024-05-01T12:00:00Z"
ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")
NAME = "vanessa/greeting"
V2 = ("-t", "plain", "--only", "v2")
Reading = Callable[[str], bytes]

# Inputs and roots of RFC 6962's reference implementation.
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f")  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_the_rfc(count: int) -> None:
    leaves = [bytes.fromhex(text) for text in LEAVES[:count]]
    expected = ROOTS[count - 1] if count else hashlib.sha256(b"").hexdigest()
    tree = _Tree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root().hex() == expected


def long(count: int) -> Log:
    log = Log()
    tags: dict[tuple[str, str], str] = {}
    for number in range(count):
        tags[NAME, f"1.{number % 50}"] = sha256(str(number).encode())
        log = log.moved(tags, TIME)
    return log


@pytest.mark.parametrize("count", [0, 1, TILE - 1, TILE, TILE + 1, 2 * TILE + 3])
def test_what_is_written_is_what_is_read_and_full_files_stay(count: int) -> None:
    log = long(count)
    files = log.to_files()
    assert read_log(files.__getitem__) == log
    assert len(json.loads(files[HEAD])["tiles"]) == count // TILE
    more = log.moved({**log.tags(), (NAME, "new"): ONE}, TIME)
    assert more.root(count) == log.root()
    kept = {path for path in files if more.to_files()[path] == files[path]}
    assert len(kept) >= count // TILE


def test_a_tag_that_is_made_moved_and_removed() -> None:
    log = Log().moved({(NAME, "1"): ONE}, TIME).moved({(NAME, "1"): TWO}, TIME).moved({}, TIME)
    assert [move[3:] for move in log.moves] == [("", ONE), (ONE, TWO), (TWO, "")]
    assert log.tags() == {}
    assert log.moved({}, TIME) == log


def edited(files: dict[str, bytes], path: str, old: bytes, new: bytes) -> dict[str, bytes]:
    assert old in files[path]
    return {**files, path: files[path].replace(old, new, 1)}


BAD: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "another root than it says": lambda it: edited(it, f"{FOLDER}0.json", b"1.3", b"1.4"),
    "another root": lambda it: edited(it, HEAD, b'"size": 300', b'"size": 299'),
    "not the head": lambda it: {**it, HEAD: b"[]"},
    "it has -1 moves": lambda it: edited(it, HEAD, b'"size": 300', b'"size": -1'),
    "is not a list of moves": lambda it: {**it, f"{FOLDER}1.json": b'[["x"]]'},
    "is out of range": lambda it: edited(it, HEAD, b'"size": 300', b'"size": 99999999999999999999'),
}


@pytest.mark.parametrize("said", BAD)
def test_a_log_that_does_not_fit_together(said: str) -> None:
    with pytest.raises(ContentError, match=said):
        read_log(BAD[said](long(300).to_files()).__getitem__)


def test_a_move_from_where_the_tag_was_not() -> None:
    log = Log((Move(TIME, NAME, "1", "", ONE), Move(TIME, NAME, "1", TWO, ONE)))
    with pytest.raises(ContentError, match="move 1 of vanessa/greeting:1 is not from where"):
        read_log(log.to_files().__getitem__)


def test_a_log_that_is_not_the_last_release_s() -> None:
    files = long(3).to_files()
    known = {HEAD: sha256(b"other")}
    with pytest.raises(ContentError, match="does not begin with the moves that the last release"):
        next_log([], TIME, files.get, known, "dest")
    with pytest.raises(ContentError, match="is gone"):
        next_log([], TIME, lambda _: None, known, "dest")


def moves(read: Reading) -> list[tuple[str, str, str]]:
    return [move[2:] for move in read_log(read).moves]


def journey(publish: Publish, dest: str, move: Callable[[str], Image], tags: Path) -> list[str]:
    """Publish a tag, move it, add another and take the first away; return their digests."""
    first = sha256((tags / "latest/manifest.json").read_bytes())
    publish(dest, *V2)
    second = move("two").digest
    publish(dest, *V2)
    (tags / "latest").rename(tags / "old")
    publish(dest, *V2)
    assert publish(dest, *V2)["changed"] is False
    return [first, second]


def expected(first: str, second: str) -> list[tuple[str, str, str]]:
    return [("latest", "", first), ("latest", first, second), ("latest", second, ""),
            ("old", "", second)]  # fmt: skip


def test_a_folder_has_every_move(
    publish: Publish, move: Callable[[str], Image], greeting: Path, tmp_path: Path
) -> None:
    tags = greeting / "collections" / NAME / "manifests"
    one, two = journey(publish, str(tmp_path / "srv"), move, tags)
    current = tmp_path / "srv/current"
    assert moves(lambda path: (current / path).read_bytes()) == expected(one, two)


def test_a_bucket_has_every_move(
    publish: Publish, move: Callable[[str], Image], greeting: Path, fake: FakeS3
) -> None:
    tags = greeting / "collections" / NAME / "manifests"
    one, two = journey(publish, "s3://bucket", move, tags)
    assert moves(lambda path: fake.objects[path].body) == expected(one, two)
    stored = fake.objects[HEAD]
    fake.store(HEAD, Log().to_files()[HEAD], stored.headers)
    status, said = publish("s3://bucket", *V2)
    assert (status, "moves.json: does not begin with the moves" in said) == (1, True)


def test_history_from_a_log(
    publish: Publish, move: Callable[[str], Image], greeting: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    tags = greeting / "collections" / NAME / "manifests"
    one, two = journey(publish, str(tmp_path / "srv"), move, tags)
    with served(tmp_path / "srv/current") as url:
        for place in (url, str(tmp_path / "srv")):
            assert run(["history", "--from", place, NAME, "--json"]) == 0
            rows = json.loads(capsys.readouterr().out)
            assert [(row["tag"], row["before"], row["digest"]) for row in rows] == [
                *reversed(expected(one, two))
            ]
        assert run(["history", "--from", url, f"{NAME}:latest"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == f"2024-05-01  latest  {two}  from {one}"
        assert len(lines) == 3
        assert run(["history", "--from", url, f"{NAME}:none"]) == 1
        assert "the log has no such tag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no log of tag moves"),
        ({HEAD: b"{"}, "moves.json"),
        ({HEAD: b'{"size": 1, "root": "00", "tiles": []}'}, "there is no log of tag moves"),
        ({**long(2).to_files(), HEAD: long(1).to_files()[HEAD]}, ""),
        ({**long(2).to_files(), HEAD: Log().to_files()[HEAD]}, "has no such tag"),
        ({**long(2).to_files(), HEAD: b'{"size": 2, "root": "00", "tiles": []}'}, "another root"),
    ],
)
def test_history_from_a_log_that_cannot_be_read(
    files: dict[str, bytes], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path, files)
    assert run(["history", "--from", str(tmp_path), NAME]) == (1 if said else 0)
    assert said in capsys.readouterr().err


def test_pages_alone_have_no_log(publish: Publish, tmp_path: Path) -> None:
    publish(str(tmp_path / "srv"), "-t", "plain", "--only", "pages")
    assert not (tmp_path / "srv/current" / HEAD).exists()


class Site:
    """A site that is served, with a log that somebody who has the key can write as they like."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.url, self.capsys = folder, url, capsys
        self.key = SigningKey.make()
        self.number = 0

    def verify(self, log: Log | None) -> tuple[int, str]:
        for path in (self.folder / HEAD, *(self.folder / FOLDER).glob("*")):
            path.unlink(missing_ok=True)
        for name, data in (log.to_files() if log else {}).items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
        self.number += 1
        time = f"2024-05-01T12:{self.number:02}:00Z"
        release(self.folder, key=self.key, name=self.url, time=time, generation=self.number)
        state = str(self.folder.parent / "state")
        code = run(["verify", self.url, "--public-key", self.key.public.text, "--state", state])
        return code, self.capsys.readouterr().err


def test_verify_sees_a_log_that_was_rewritten_or_that_does_not_lead_to_the_tags(
    greeting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["build", "-q", "-s", str(greeting), "-d", str(tmp_path / "site")]) == 0
    at = {(NAME, "latest"): Image.of("one").digest}
    honest = Log().moved({(NAME, "latest"): ONE}, TIME).moved(at, TIME)
    other = Log().moved({(NAME, "latest"): TWO}, TIME).moved(at, TIME)
    with served(tmp_path / "site") as url:
        site = Site(tmp_path / "site", url, capsys)
        assert site.verify(honest)[0] == 0
        code, said = site.verify(other)
        assert (code, "does not begin with the 2 moves" in said) == (1, True)
        code, said = site.verify(Log().moved(at, TIME))
        assert (code, "has 1 moves; 2 were seen here before" in said) == (1, True)
        assert "has 0 moves; 2 were seen" in site.verify(None)[1]
        assert site.verify(honest)[0] == 0
        for astray in (honest.moved({**at, (NAME, "x"): ONE}, TIME), honest.moved({}, TIME)):
            code, said = site.verify(astray)
            assert (code, "does not match the log of tag moves" in said) == (1, True)


@pytest.mark.parametrize("refused", [HEAD, "manifests/latest", "release.json"])
def test_a_run_that_ended_early_has_logged_what_it_did(
    refused: str, publish: Publish, move: Callable[[str], Image], fake: FakeS3
) -> None:
    one, two = move("one").digest, ""
    publish("s3://bucket", *V2)
    for _ in range(2):
        two = move("two").digest
        fake.fault = lambda method, key: (
            (403, "AccessDenied") if method == "PUT" and key.endswith(refused) else None
        )
        assert publish("s3://bucket", *V2)[0] == 4
        served = sha256(fake.objects[f"v2/{NAME}/manifests/latest"].body)
        log = read_log(lambda path: fake.objects[path].body)
        assert any(item.after == served for item in log.moves)  # whatever was served is logged
        fake.fault = lambda *_: None
        move("one")
        publish("s3://bucket", *V2)
        assert log.root() == read_log(lambda path: fake.objects[path].body).root(len(log.moves))
    told = moves(lambda path: fake.objects[path].body)
    back = [("latest", one, two), ("latest", two, one)]
    assert told == [("latest", "", one), *([] if refused == HEAD else back + back)]
