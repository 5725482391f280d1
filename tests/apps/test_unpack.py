"""Layers that strangers made: what comes out of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import replace

import pytest

from builder.apps import unpack as unpack_module
from builder.apps.model import AppFile, parse_config, path_fault
from builder.apps.unpack import measure, unpack
from builder.errors import ContentError
from tests.apps.samples import Held, packed, special, tar_of


def files_of(*layers: bytes, root: str = "app") -> dict[str, bytes]:
    """Unpack layers and return the files with their contents."""
    contents: dict[str, bytes] = {}

    def keep(chunks: Iterable[bytes]) -> AppFile:
        data = b"".join(chunks)
        file = measure([data])
        contents[file.digest] = data
        return file

    held = Held(*layers)
    found = unpack(held.layers, held, root, keep, "apps/it")
    return {path: contents[file.digest] for path, file in found.items()}


def refusal(*layers: bytes, root: str = "app") -> str:
    with pytest.raises(ContentError) as error:
        files_of(*layers, root=root)
    (problem,) = error.value.problems
    assert problem.path == "apps/it"
    return problem.message


# A tar of app/index.html, "page", as the zstd program packs it.
ZSTD = (
    "28b52ffd64002725020022030b11a0edb07147cfafa0aade17e08402f023053e689d7fbf8d50da07d6413eee5b6f"
    "d5722f165398c734259cdb0920d00ff885d773eafc4c7b3080070c0ab032b13a352b740e"
)
PAGE: dict[str, str | bytes] = {"app/index.html": "page"}


def test_files_below_the_root_keep_their_names_and_bytes() -> None:
    layer = packed({**PAGE, "app/js/a b.js": "1", "./app/ü.txt": "2", "other/x": "3", "top": "4"})
    assert files_of(layer) == {"index.html": b"page", "js/a b.js": b"1", "ü.txt": b"2"}
    whole = files_of(packed({"index.html": "page", "a/b": "1"}), root="")
    assert whole == {"index.html": b"page", "a/b": b"1"}


def test_all_compressions_are_read() -> None:
    tar = tar_of(PAGE)
    two_members = gzip.compress(tar[:700]) + gzip.compress(tar[700:])
    for layer in (tar, gzip.compress(tar), two_members, bytes.fromhex(ZSTD)):
        assert files_of(layer) == {"index.html": b"page"}


def test_later_layers_win() -> None:
    first = packed({**PAGE, "app/a": "1", "app/d/x": "1", "app/d/y": "1", "app/e": "1"})
    second = packed({"app/a": "2", "app/d": "now a file", "app/e/f": "now a folder"})
    assert files_of(first, second) == {
        "index.html": b"page", "a": b"2", "d": b"now a file", "e/f": b"now a folder",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ({"app/d/.wh.x": ""}, {"d/y", "e/z"}),
        ({"app/.wh.d": ""}, {"e/z"}),
        ({"app/.wh.d": "", "app/d/n": "new"}, {"d/n", "e/z"}),
        ({"app/d/n": "new", "app/.wh.d": ""}, {"d/n", "e/z"}),
        ({"app/d/.wh..wh..opq": "", "app/d/n": "new"}, {"d/n", "e/z"}),
        ({"app/d/n": "new", "app/d/.wh..wh..opq": ""}, {"d/n", "e/z"}),
        ({".wh..wh..opq": "", "app/n": "new"}, {"n"}),
        ({".wh.app": "", "app/n": "new"}, {"n"}),
        ({"app/.wh.nobody": ""}, {"d/x", "d/y", "e/z"}),
    ],
)
def test_whiteouts_hide_what_is_below_them_and_nothing_beside(
    upper: dict[str, str], left: set[str]
) -> None:
    lower = packed({"app/d/x": "1", "app/d/y": "2", "app/e/z": "3"})
    found = files_of(lower, packed({**upper, "app/index.html": "page"}))
    assert found.keys() - {"index.html"} == left


def test_hidden_names_are_left_out() -> None:
    hidden = {"app/.git/config": "1", "app/.env": "1", "app/a/.DS_Store": "1", "app/Thumbs.db": "1"}
    known = {"app/.well-known/security.txt": "1", "app/.git/.well-known/x": "1"}
    found = files_of(packed({**PAGE, **hidden, **known}))
    assert found.keys() == {"index.html", ".well-known/security.txt"}


@pytest.mark.parametrize(
    "name",
    ["../evil", "app/../../evil", "/etc/passwd", "app//x", "app/./x", "app/a\nb",
     "app/a\\b", "app/\x1b[2J", "app/\u202etxt.exe", "app/" + "x" * 256, "app/" + "y/" * 600 + "z"],
)  # fmt: skip
def test_names_that_go_elsewhere_are_refused(name: str) -> None:
    message = refusal(packed({**PAGE, name: "evil"}))
    assert "leaves its folder" in message or "are not portable" in message or "too long" in message
    assert message.isprintable()
    assert message.isascii()


def test_names_that_are_no_text_are_refused() -> None:
    raw = tar_of({**PAGE, "app/abc": "1"}).replace(b"app/abc", b"app/\xff\xfe?")
    fixed = bytearray(raw)
    at = raw.index(b"app/\xff")
    fixed[at + 148 : at + 156] = b" " * 8
    fixed[at + 148 : at + 155] = b"%06o\0" % sum(fixed[at : at + 512])
    assert "are not portable" in refusal(gzip.compress(bytes(fixed)))


def test_odd_names_that_can_be_published_are() -> None:
    odd = ["a:b", "100%", "%2e%2e", "a?b#c", "-rf", "~", "con", 'quo"te', "$HOME", "{x};", "日本"]
    found = files_of(packed({**PAGE, **{f"app/{name}": "1" for name in odd}}))
    assert found.keys() == {"index.html", *odd}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "not a regular file"),
        (tarfile.BLKTYPE, "not a regular file"),
        (tarfile.FIFOTYPE, "not a regular file"),
    ],
)
def test_what_is_no_file_is_refused(kind: bytes, word: str) -> None:
    for target in ("../../etc/passwd", "index.html"):
        members = [("app/index.html", b"page"), special("app/odd", kind, target)]
        assert word in refusal(packed(members))


def test_one_name_twice_is_refused() -> None:
    twice = [("app/index.html", b"one"), ("app/index.html", b"two")]
    assert "twice" in refusal(packed(twice))


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/x", "a/X"), ("Straße", "STRASSE"), ("caf\u00e9", "cafe\u0301"), ("a", "a/b")],
)
def test_names_that_are_one_on_some_disk_are_refused(first: str, second: str) -> None:
    members = {**PAGE, f"app/{first}": "1", f"app/{second}": "2"}
    assert any(word in refusal(packed(members)) for word in ("one file", "a file and a folder"))


def test_a_page_is_missing() -> None:
    assert "no app/index.html" in refusal(packed({"index.html": "page"}))
    assert "no index.html" in refusal(packed(PAGE), root="")
    assert "no index.html" in refusal(root="")


def test_more_members_than_anyone_needs_are_refused() -> None:
    folder = tarfile.TarInfo("app/d")
    folder.type = tarfile.DIRTYPE
    million = gzip.compress(folder.tobuf(tarfile.USTAR_FORMAT) * 1000) * 1000
    assert "members" in refusal(million)
    many = [(f"app/{number}", b"") for number in range(unpack_module.MAX_FILES + 1)]
    assert "more than 20000 files" in refusal(packed(many))


def test_more_files_than_a_site_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "MAX_FILES", 30)
    files = {f"app/{number}": "" for number in range(25)}
    more = {f"app/{number}": "" for number in range(25, 50)}
    assert len(files_of(packed({**PAGE, **files}))) == 26
    assert "more than 30 files" in refusal(packed({**PAGE, **files, **more}))
    assert "more than 30 files" in refusal(packed({**PAGE, **files}), packed(more))


def test_ten_gigabytes_of_zeros_are_refused_before_they_are_written() -> None:
    info = tarfile.TarInfo("app/zeros")
    info.size = 10 << 30
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [squeeze.compress(tar_of(PAGE)[:1024] + info.tobuf())]
    zeros = bytes(1 << 20)
    parts += [squeeze.compress(zeros) for _ in range(400)]  # what follows is never looked at
    assert "too many bytes" in refusal(b"".join(parts) + squeeze.flush())


def test_the_layers_of_an_app_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "MAX_BYTES", 60_000)
    first = packed({**PAGE, "app/a": os.urandom(30_000)})
    assert files_of(first)
    assert "too many bytes" in refusal(first, packed({"app/b": os.urandom(30_000)}))


def test_damage_is_told_apart_from_lies() -> None:
    layer = packed({**PAGE, "app/noise": os.urandom(50_000)})
    assert "damaged gzip" in refusal(layer[:-3000])
    assert "damaged gzip" in refusal(layer[:2000] + b"\0\0\0\0" + layer[2004:])
    plain = tar_of({**PAGE, "app/noise": os.urandom(50_000)})
    assert "cut short" in refusal(plain[:20_000])
    assert "not a tar" in refusal(b"x" * 5000)
    assert "no app/index.html" in refusal(b""), "an empty layer is one without files"
    held = Held(layer)
    (true,) = held.layers
    for wrong in (replace(true, size=true.size - 1), replace(true, size=true.size + 1)):
        with pytest.raises(ContentError, match="bytes"):
            unpack([wrong], held, "app", measure, "apps/it")
    held.blobs[true.digest] = layer[:-1] + bytes([layer[-1] ^ 1])
    with pytest.raises(ContentError, match=r"another digest|damaged"):
        unpack([true], held, "app", measure, "apps/it")
    held.blobs.clear()
    with pytest.raises(ContentError, match="missing"):
        unpack([true], held, "app", measure, "apps/it")


def test_bytes_after_the_archive_are_verified_too() -> None:
    layer = packed(PAGE) + bytes(5000)
    held = Held(layer)
    assert unpack(held.layers, held, "app", measure, "apps/it")
    (true,) = held.layers
    held.blobs[true.digest] = layer[:-1] + b"\1"
    with pytest.raises(ContentError, match=r"digest|damaged"):
        unpack([true], held, "app", measure, "apps/it")


def test_a_sparse_file_is_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("app/index.html"))
        info = tarfile.TarInfo("app/sparse")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        archive.addfile(info)
    assert "sparse" in refusal(gzip.compress(buffer.getvalue()))


@pytest.mark.parametrize(
    ("raw", "root"),
    [
        (b"{}", ""),
        (b'{"rootDir": "dist"}', "dist"),
        (b'{"rootDir": "/dist/"}', "dist"),
        (b'{"rootDir": "./a/b"}', "a/b"),
        (b'{"rootDir": "."}', ""),
        (b'{"rootDir": "", "more": [1]}', ""),
    ],
)
def test_configs(raw: bytes, root: str) -> None:
    assert parse_config(raw, "it").root == root


@pytest.mark.parametrize(
    "raw",
    [b"", b"no", b'{"rootDir": 1}', b'{"rootDir": "../x"}', b'{"rootDir": "a/../../b"}',
     b'{"rootDir": "a\\u0000b"}', b'{"spa": "yes"}', b'{"rootDir": "a", "rootDir": "b"}'],
)  # fmt: skip
def test_configs_that_are_none(raw: bytes) -> None:
    with pytest.raises(ContentError):
        parse_config(raw, "it")


def test_paths() -> None:
    assert path_fault("a/b c/ü.html") == ""
    assert path_fault("") != ""
