"""What is in layers, of every compression, compared with what tarfile reads."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from builder.cli import run
from builder.errors import ContentError
from builder.layers import record
from builder.layers.extract import read_file
from builder.layers.listing import Listing, merged, parse_listing
from builder.layers.record import listing_path, make_listing
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from tests.images import CONFIG, LAYER, MANIFEST, Image, as_json, descriptor, sha256

Capture = pytest.CaptureFixture[str]


def tar(files: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data) if not isinstance(content, tarfile.TarInfo) else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o755
    return info


def large() -> dict[str, bytes | tarfile.TarInfo]:
    """Return files of 24 MiB together, half of them noise."""
    noise = random.Random(5)  # noqa: S311 - the same every time
    files: dict[str, bytes | tarfile.TarInfo] = {}
    for number in range(12):
        body = noise.randbytes(1 << 20) + bytes([number]) * (1 << 20)
        files[f"data/{number:02}-{'x' * 90}.bin"] = body
    return files


def members_gzip(data: bytes) -> bytes:
    step = 3 << 20
    return b"".join(gzip.compress(data[at : at + step]) for at in range(0, len(data), step))


def frames_zstd(data: bytes) -> bytes:
    step = 5 << 20
    return b"".join(zstd.compress(data[at : at + step]) for at in range(0, len(data), step))


PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gzip": gzip.compress,
    "gzip members": members_gzip,
    "zstd": zstd.compress,
    "zstd frames": frames_zstd,
}


def listed(packed: bytes, path: Path) -> tuple[Listing, bytes]:
    path.write_bytes(packed)
    layer = Descriptor(LAYER, Digest.of(packed), len(packed))
    return make_listing(path, layer, "layer")


class Counted(io.BytesIO):
    """A layer that tells how much of it was read."""

    total = 0

    def read(self, count: int | None = -1) -> bytes:
        data = super().read(count)
        self.total += len(data)
        return data


@pytest.mark.parametrize("kind", PACK)
def test_each_file_is_read_from_a_restart_point(kind: str, tmp_path: Path) -> None:
    files = large()
    packed = PACK[kind](tar(files))
    listing, index = listed(packed, tmp_path / "layer")
    assert listing.compression == kind.partition(" ")[0]
    assert parse_listing(listing.to_bytes(), "x") == listing
    assert {entry.path for entry in listing.entries} == set(files)
    for entry in listing.entries:
        layer = Counted(packed)
        assert b"".join(read_file(listing, entry, index, layer, "x")) == files[entry.path]
    if kind != "zstd":  # one frame has no place to begin but its start
        assert layer.total < len(packed) / 2, "the last file took more than half of the layer"
    assert bool(index) == kind.startswith("gzip")
    assert bool(listing.frames) == (kind == "zstd frames")


def test_kinds_of_members_and_whiteouts(tmp_path: Path) -> None:
    files: dict[str, bytes | tarfile.TarInfo] = {
        "etc": member("etc", tarfile.DIRTYPE),
        "etc/hello": b"hello",
        "etc/link": member("etc/link", tarfile.SYMTYPE, "hello"),
        "etc/hard": member("etc/hard", tarfile.LNKTYPE, "etc/hello"),
        "dev/null": member("dev/null", tarfile.CHRTYPE),
        "pipe": member("pipe", tarfile.FIFOTYPE),
        "../../etc/cron.d/x": b"text only",
        "new\nline": b"x",
    }
    lower, _ = listed(gzip.compress(tar(files)), tmp_path / "lower")
    kinds = {entry.path: entry.kind for entry in lower.entries}
    assert kinds["etc"] == "d"
    assert kinds["etc/link"] == "l"
    assert kinds["etc/hard"] == "h"
    assert kinds["dev/null"] == "c"
    assert kinds["pipe"] == "p"
    assert kinds["new\nline"] == "f"
    upper, _ = listed(tar({"etc/.wh.hello": b"", "dev/.wh..wh..opq": b"", "etc/new": b"n"}),
                      tmp_path / "upper")  # fmt: skip
    found = merged([lower, upper])
    assert "etc/hello" not in found
    assert "dev/null" not in found
    assert found["etc/new"][0] == 1
    assert found["etc/link"][0] == 0
    link = lower.find("/etc/link")
    assert link is not None
    with pytest.raises(ContentError, match="no regular file"):
        list(read_file(lower, link, b"", io.BytesIO(), "x"))


def test_a_bomb_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_FREE", 4 << 20)
    files: dict[str, bytes | tarfile.TarInfo] = {"a": b"a", "zeros": b"\0" * (64 << 20), "b": b"b"}
    for pack in (gzip.compress, zstd.compress):
        listing, _ = listed(pack(tar(files)), tmp_path / "bomb")
        assert "unpacks to more" in listing.cut
        assert listing.unpacked < 40 << 20
        assert [entry.path for entry in listing.entries][:1] == ["a"]


def test_too_many_entries_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_ENTRIES", 10)
    listing, _ = listed(tar({str(number): b"" for number in range(30)}), tmp_path / "layer")
    assert len(listing.entries) == 10
    assert listing.cut


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n" + b"x" * 2000, gzip.compress(b"no tar at all" * 100), b"x" * 5000],
    ids=["png", "gzip of text", "text"],
)
def test_what_is_no_tar(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ContentError):
        listed(data, tmp_path / "layer")


def test_damage_at_the_end_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(tar(large()))
    listing, _ = listed(whole[: len(whole) * 3 // 4], tmp_path / "layer")
    assert listing.cut or listing.entries


HEAD = b'{"version":1,"digest":"x","compression":"tar","unpacked":0,"cut":null,"entries":'


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b'{"version":2}', HEAD + b"[[1,2]]}", HEAD + b'[["a","f",-1,0,0,""]]}'],
)
def test_listings_that_are_none(raw: bytes) -> None:
    with pytest.raises(ContentError):
        parse_listing(raw, "listing")


def image_of(data: bytes, packed: bytes) -> Image:
    config = as_json(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": [sha256(data)]}}
    )  # fmt: skip
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(LAYER, packed)],
        }
    )
    return Image(manifest, {sha256(config): config, sha256(packed): packed})


def test_add_publishes_and_inspect_reads(
    registry: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    flags = ["-q", "-s", str(registry)]
    contents: list[dict[str, bytes | tarfile.TarInfo]] = [
        {"etc/hello.txt": b"hello\n", "etc/gone": b"x"},
        {"etc/hello.txt": b"hello again\n", "etc/new": b"y"},
    ]
    for number, files in enumerate(contents):
        data = tar(files)
        image_of(data, gzip.compress(data, mtime=0)).layout(tmp_path / str(number), "1")
        source = f"oci:{tmp_path}/{number}:1"
        assert run(["add", *flags, "--files", source, f"x/y:{number + 1}.0"]) == 0
    kept = list((registry / "collections/x/y/blobs/files/sha256").iterdir())
    assert len(kept) == 2
    assert run(["build", *flags]) == 0
    layer = json.loads((registry / "collections/x/y/manifests/2.0/manifest.json").read_bytes())
    digest = layer["layers"][0]["digest"]
    published = json.loads((registry / f"_site/x/y/blobs/{digest}/files.json").read_bytes())
    assert [entry[0] for entry in published["entries"]] == ["etc/hello.txt", "etc/new"]
    page = (registry / "_site/x/y/tags/2.0/index.html").read_text()
    assert "/etc/hello.txt" in page
    assert "1 file added, 1 removed, 1 changed" in page
    capfdbinary.readouterr()
    assert run(["inspect", "-s", str(registry), "x/y:2.0", "--file", "/etc/hello.txt"]) == 0
    assert capfdbinary.readouterr().out == b"hello again\n"
    assert run(["inspect", "-s", str(registry), "x/y:2.0", "--file", "nope"]) == 1
    run(["rm", *flags, "x/y:1.0"])
    run(["gc", *flags, "--delete"])
    assert len(list((registry / "collections/x/y/blobs/files/sha256").iterdir())) == 1


def test_a_damaged_listing_is_a_problem(registry: Path, tmp_path: Path, capsys: Capture) -> None:
    data = tar({"a": b"a"})
    image_of(data, gzip.compress(data)).layout(tmp_path / "layout", "1")
    flags = ["-q", "-s", str(registry)]
    assert run(["add", *flags, "--files", f"oci:{tmp_path}/layout:1", "x/y:1"]) == 0
    (path,) = (registry / "collections/x/y/blobs/files/sha256").iterdir()
    path.write_text('{"version": 1}')
    assert run(["build", *flags]) == 1
    assert "is no listing" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".json", ".gzidx"])
@pytest.mark.parametrize("far", [False, True], ids=["the file", "its folder"])
def test_a_link_beside_a_listing_publishes_nothing(
    greeting: Path, capfd: pytest.CaptureFixture[str], suffix: str, *, far: bool
) -> None:
    """Also where nobody has looked at the whole tree for links before."""
    folder = greeting / "collections/vanessa/greeting"
    digest = json.loads(Image.of("one").manifest)["layers"][0]["digest"]
    Image.of("one").layout(greeting / "layout", "1")
    source = f"oci:{greeting}/layout:1"
    assert run(["add", "-s", str(greeting), "--files", source, "vanessa/greeting:1"]) == 0
    listing = listing_path(folder, digest)
    beside = listing.with_suffix(suffix)
    if far:
        beside.write_text("TOPSECRET")
        shutil.move(listing.parent, greeting / "outside")
        listing.parent.symlink_to(greeting / "outside")
    else:
        (greeting / "outside").write_text("TOPSECRET")
        beside.unlink(missing_ok=True)
        beside.symlink_to(greeting / "outside")
    capfd.readouterr()
    assert run(["build", "-s", str(greeting)]) == 1
    assert run(["inspect", "-s", str(greeting), "--file", "hello.txt", "vanessa/greeting:1"]) == 1
    said = capfd.readouterr()
    assert "symbolic link" in said.err
    assert "TOPSECRET" not in said.out + said.err
