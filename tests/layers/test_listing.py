"""What is in layers, of every compression, compared with what tarfile reads."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
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
from builder.layers.listing import Listing, listing_path, read_listing
from builder.layers.record import make_listing
from builder.layers.rootfs import Found, RootFS
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from tests.images import LAYER, Image
from tests.layers.stacks import image_of

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


def large(count: int = 12) -> dict[str, bytes | tarfile.TarInfo]:
    """Return files of 2 MiB each, half of it noise."""
    noise = random.Random(5)  # noqa: S311 - the same every time
    files: dict[str, bytes | tarfile.TarInfo] = {}
    for number in range(count):
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
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": bz2.compress,
}
SLOW = ("xz", "bzip2")


def listed(packed: bytes, folder: Path) -> tuple[Listing, bytes]:
    """Return the listing of a layer, kept in a folder like a collection's, and its index."""
    layer = Descriptor(LAYER, Digest.of(packed), len(packed))
    file = folder / "layer"
    file.write_bytes(packed)
    out = io.BytesIO()
    _, index = make_listing(file, layer, "layer", out)
    kept = folder / listing_path(layer.digest)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(out.getvalue())
    listing = read_listing(folder, layer.digest, "x")
    assert listing is not None
    assert json.loads(out.getvalue())["entries"] == [
        [*entry[:6], *([list(entry.pieces)] if entry.pieces is not None else ())]
        for entry in listing.entries()
    ]
    return listing, index


def merged(*listings: Listing) -> dict[str, Found]:
    with RootFS.of(listings, "x") as image:
        return {found.entry.path: found for found in image.entries()}


class Counted(io.BytesIO):
    """A layer that tells how much of it was read."""

    total = 0

    def read(self, count: int | None = -1) -> bytes:
        data = super().read(count)
        self.total += len(data)
        return data


@pytest.mark.parametrize("kind", PACK)
def test_each_file_is_read_from_a_restart_point(kind: str, tmp_path: Path) -> None:
    files = large(2 if kind in SLOW else 12)
    packed = PACK[kind](tar(files))
    listing, index = listed(packed, tmp_path)
    assert listing.facts.compression == kind.partition(" ")[0]
    assert {entry.path for entry in listing.entries()} == set(files)
    for entry in listing.entries():
        layer = Counted(packed)
        assert b"".join(read_file(listing.facts, entry, index, layer, "x")) == files[entry.path]
    if kind not in ("zstd", *SLOW):  # one frame has no place to begin but its start
        assert layer.total < len(packed) / 2, "the last file took more than half of the layer"
    assert bool(index) == kind.startswith("gzip")
    assert bool(listing.facts.frames) == (kind in ("zstd frames", "gzip members"))


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
    lower, _ = listed(gzip.compress(tar(files)), tmp_path)
    kinds = {entry.path: entry.kind for entry in lower.entries()}
    assert kinds["etc"] == "d"
    assert kinds["etc/link"] == "l"
    assert kinds["etc/hard"] == "h"
    assert kinds["dev/null"] == "c"
    assert kinds["pipe"] == "p"
    assert kinds["new\nline"] == "f"
    assert kinds["etc/cron.d/x"] == "f", "'..' does not leave the root"
    whiteouts = {"etc/.wh.hello": b"", "dev/.wh..wh..opq": b"", "etc/new": b"n"}
    upper, _ = listed(tar(dict(whiteouts)), tmp_path)
    found = merged(lower, upper)
    assert "etc/hello" not in found
    assert "dev/null" not in found
    assert found["etc/new"][0] == 1
    assert found["etc/link"][0] == 0
    assert found["etc/hard"].entry.size == 5, "the other name of a file that is gone"


def test_a_bomb_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_FREE", 4 << 20)
    files: dict[str, bytes | tarfile.TarInfo] = {"a": b"a", "zeros": b"\0" * (64 << 20), "b": b"b"}
    for pack in (gzip.compress, zstd.compress):
        listing, _ = listed(pack(tar(files)), tmp_path)
        assert listing.facts.cut == "unpacks to too many bytes, in or after zeros"
        assert listing.facts.unpacked < 40 << 20
        assert [entry.path for entry in listing.entries()] == ["a", "zeros"]


def test_too_many_entries_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_ENTRIES", 10)
    listing, _ = listed(tar({str(number): b"" for number in range(30)}), tmp_path)
    assert listing.count == 10
    assert listing.facts.cut == "it has more than 10 members"


def test_a_listing_that_would_be_too_long_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_BYTES", 1000)
    listing, _ = listed(tar({str(number): b"" for number in range(100)}), tmp_path)
    assert 10 < listing.count < 100
    assert listing.facts.cut == "its listing would have more than 1000 bytes"


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n" + b"x" * 2000, gzip.compress(b"no tar at all" * 100), b"x" * 5000],
    ids=["png", "gzip of text", "text"],
)
def test_what_is_no_tar(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        listed(data, tmp_path)
    assert "is not a tar archive" in str(caught.value)


@pytest.mark.parametrize("kind", PACK)
def test_a_layer_that_ends_early_is_told(kind: str, tmp_path: Path) -> None:
    packed = PACK[kind](tar(large(3)))
    listing, _ = listed(packed[: len(packed) * 3 // 4], tmp_path)
    assert "in or after data/" in listing.facts.cut
    assert 1 < listing.count < 4


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(tar(large(1))))
    packed[-8] ^= 1
    listing, _ = listed(bytes(packed), tmp_path)
    assert "incorrect data check" in listing.facts.cut


@pytest.mark.parametrize("size", [0, 1024, 10240])
def test_layers_without_members(size: int, tmp_path: Path) -> None:
    for data in (bytes(size), gzip.compress(bytes(size))):
        listing, _ = listed(data, tmp_path)
        assert (listing.count, listing.facts.cut) == (0, "")


HEAD = b'{"version":2,"digest":"sha256:x","fields":[],"entries":['
TAIL = b'],"compression":"tar","unpacked":0,"cut":null}\n'
GOOD = b'["a","f",5,0,512,""]\n'


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b'{"version":3}\n', HEAD, HEAD + b"\n", HEAD + b"\n" + GOOD,
        HEAD + b"\n[1,2]\n" + TAIL, HEAD + b'\n["a","f",-1,0,0,""]\n' + TAIL,
        HEAD + b'\n["a","f",1.0,0,0,""]\n' + TAIL, HEAD + b'\n["a","x",1,0,0,""]\n' + TAIL,
        HEAD + b'\n["a","f",1,0,0,"","more"]\n' + TAIL, HEAD + b"\n" + GOOD + GOOD + TAIL,
        HEAD + b'\n["a","f",5,0,512,"",[0,9]]\n' + TAIL, HEAD + b"\n," + GOOD + TAIL,
        HEAD + b'\n["a","f",5,0,512,"",[1]]\n' + TAIL, HEAD + b"\n" + b"[" * 9999 + b"\n" + TAIL,
        HEAD + b'\n["\\udce9","f",5,0,512,""]\n' + TAIL, HEAD + b"\n" + GOOD + TAIL + b"more",
        HEAD + b'\n["\xe9","f",5,0,512,""]\n' + TAIL, HEAD + b"\n" + GOOD + b'],"cut":1}\n',
    ],
)  # fmt: skip
def test_listings_that_are_none(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / listing_path("sha256:x")
    path.parent.mkdir(parents=True)
    path.write_bytes(HEAD + b"\n" + GOOD + b"," + GOOD + TAIL)
    listing = read_listing(tmp_path, "sha256:x", "here")
    assert listing is not None
    assert listing.count == 2
    path.write_bytes(raw)
    with pytest.raises(ContentError):
        read_listing(tmp_path, "sha256:x", "here")
    with pytest.raises(ContentError):
        list(listing.entries())


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
        image_of(data, pack=lambda _: True).layout(tmp_path / str(number), "1")
        source = f"oci:{tmp_path}/{number}:1"
        assert run(["add", *flags, "--files", source, f"x/y:{number + 1}.0"]) == 0
    kept = list((registry / "collections/x/y/blobs/files/sha256").iterdir())
    assert len(kept) == 2
    assert run(["build", *flags]) == 0
    layer = json.loads((registry / "collections/x/y/manifests/2.0/manifest.json").read_bytes())
    digest = layer["layers"][0]["digest"]
    published = json.loads((registry / f"_site/x/y/blobs/{digest}/files.json").read_bytes())
    assert [entry[0] for entry in published["entries"]] == ["etc/hello.txt", "etc/new"]
    page = " ".join((registry / "_site/x/y/tags/2.0/index.html").read_text().split())
    assert "/etc/hello.txt" in page
    assert "1 file added, 1 removed, 1 changed" in page
    assert "10.2 KB" in page
    capfdbinary.readouterr()
    assert run(["inspect", "-s", str(registry), "x/y:2.0", "--file", "/etc/hello.txt"]) == 0
    assert capfdbinary.readouterr().out == b"hello again\n"
    assert run(["inspect", "-s", str(registry), "x/y:2.0", "--file", "nope"]) == 1
    run(["rm", *flags, "x/y:1.0"])
    run(["gc", *flags, "--delete"])
    assert len(list((registry / "collections/x/y/blobs/files/sha256").iterdir())) == 1


def test_a_damaged_listing_is_a_problem(registry: Path, tmp_path: Path, capsys: Capture) -> None:
    data = tar({"a": b"a"})
    image_of(data).layout(tmp_path / "layout", "1")
    flags = ["-q", "-s", str(registry)]
    assert run(["add", *flags, "--files", f"oci:{tmp_path}/layout:1", "x/y:1"]) == 0
    (path,) = (registry / "collections/x/y/blobs/files/sha256").iterdir()
    whole = path.read_bytes()
    path.write_text('{"version": 2}')
    assert run(["build", *flags]) == 1
    assert "is not a listing" in capsys.readouterr().err
    path.write_text('{"version":1,"entries":[]}')
    assert run(["build", *flags]) == 0
    assert "was made by an older version" in capsys.readouterr().err
    assert run(["add", *flags, "--files", f"oci:{tmp_path}/layout:1", "x/y:1"]) == 0
    assert path.read_bytes() == whole, "adding again makes it again"


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
    listing = folder / listing_path(digest)
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
