"""Docker archives that must be refused, and odd ones that must not be."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.errors import ContentError
from builder.transports.archive import open_archive
from tests.conftest import read_tree
from tests.transports.samples import DockerArchive, member, tar_of_members

LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
LAYER = "l1/layer.tar"


def archive(change: Callable[[DockerArchive], object] = bool) -> bytes:
    made = DockerArchive()
    change(made)
    return made.raw()


def linked(kind: bytes, target: str, *others: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return an archive whose layer is a link."""

    def change(made: DockerArchive) -> None:
        made.members = [member(LAYER, b"", kind, target), *others]

    return archive(change)


def without_manifest() -> bytes:
    return tar_of_members([member(LAYER, b"x")])


def image(**values: object) -> bytes:
    return archive(lambda made: made.images[0].update(values))


def misnamed(made: DockerArchive) -> None:
    made.config_name = "0" * 64 + ".json"
    made.images[0]["Config"] = made.config_name


def other_layer(made: DockerArchive) -> None:
    made.members = [member(LAYER, made.layer + bytes(512))]


def zipped_layer(data: bytes) -> Callable[[DockerArchive], None]:
    def change(made: DockerArchive) -> None:
        made.members = [member(LAYER, data)]

    return change


def sparse() -> bytes:
    info = tarfile.TarInfo("manifest.json")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(format=tarfile.GNU_FORMAT))
    header[483:495] = b"\x80" + (2**62).to_bytes(11, "big")
    return _summed(header) + bytes(1536)


def huge_member() -> bytes:
    header = bytearray(tarfile.TarInfo("manifest.json").tobuf(format=tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + (2**62).to_bytes(11, "big")
    return _summed(header) + bytes(1024)


def huge_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**31
    return info.tobuf(format=tarfile.USTAR_FORMAT) + bytes(512)


def _summed(header: bytearray) -> bytes:
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    header[148:156] = b"%06o\0 " % total
    return bytes(header)


def long_digits() -> bytes:
    record = b"9" * 5000 + b" size=1\n"
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    padded = record + bytes(-len(record) % 512)
    return info.tobuf(format=tarfile.USTAR_FORMAT) + padded + bytes(1024)


def two(made: DockerArchive) -> None:
    made.images.append({**made.images[0], "RepoTags": ["y:latest"]})


def twice(made: DockerArchive) -> None:
    made.last = [member("manifest.json", b"[]")]


BAD = {
    "no manifest.json": (without_manifest(), ("manifest.json", "missing")),
    "manifest.json twice": (archive(twice), ("twice",)),
    "config misnamed": (archive(misnamed), ("config", "digest")),
    "config missing": (image(Config="nowhere.json"), ("nowhere.json", "missing")),
    "config is a number": (image(Config=1), ("/0/Config",)),
    "config is a path": (image(Config="/etc/passwd"), ("missing",)),
    "layer missing": (image(Layers=["../../etc/shadow"]), ("missing",)),
    "layers is null": (image(Layers=None), ("diff_ids", "0 layers")),
    "too many layers": (image(Layers=[LAYER, LAYER]), ("/rootfs/diff_ids",)),
    "other layer": (archive(other_layer), ("/rootfs/diff_ids/0", "digest")),
    "layer cut short": (archive(zipped_layer(gzip.compress(b"x" * 9999)[:-9])), ("gzip",)),
    "layer of zstd": (archive(zipped_layer(b"\x28\xb5\x2f\xfdxxxx")), ("zstd", "damaged")),
    "link out by a root path": (linked(LINK, "/etc/shadow"), ("link",)),
    "link out by dots": (linked(LINK, "../../etc/shadow"), ("link",)),
    "link to a link": (
        linked(LINK, "../l2/layer.tar", member("l2/layer.tar", b"", LINK, "../l1/layer.tar")),
        ("link",),
    ),
    "link to itself": (linked(LINK, "layer.tar"), ("link",)),
    "layer is a device": (
        archive(lambda made: made.members.__setitem__(0, member(LAYER, b"", tarfile.CHRTYPE))),
        ("regular file",),
    ),
    "picture": (b"\x89PNG\r\n\x1a\n", ("tar",)),
    "nothing": (b"", ("tar",)),
    "text": (b"x" * 2000, ("tar",)),
    "zip": (b"PK\x03\x04" + bytes(600), ("tar",)),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), ("zstd",)),
    "cut short": (archive()[:700], ("cut short",)),
    "gzip cut short": (gzip.compress(archive())[:-30], ("gzip",)),
    "gzip of zeros": (gzip.compress(bytes(64 << 20)), ("manifest.json",)),
    "sparse of 4 EiB": (sparse(), ("a damaged map",)),
    "member of 4 EiB": (huge_member(), ("cut short",)),
    "header of 2 GiB": (huge_header(), ("extended headers",)),
    "header with long digits": (long_digits(), ("a damaged extended header",)),
}


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw, words = BAD[name]
    Path("image.tar").write_bytes(raw)
    before = read_tree(Path("collections"))
    assert run(["add", "docker-archive:image.tar", "vanessa/greeting:bad"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("image.tar")
    for word in words:
        assert word in error
    assert read_tree(Path("collections")) == before
    assert [path.name for path in Path(".builder-cache").iterdir()] == ["registry.lock"]


def shared_by_link() -> bytes:
    layer = DockerArchive().layer
    return linked(LINK, "../base.tar", member("base.tar", layer))


GOOD = {
    "as it is": archive(),
    "compressed": gzip.compress(archive()),
    "foreign repository": image(RepoTags=["evil.example/x:latest"]),
    "no repository": image(RepoTags=None),
    "layer is a link within": shared_by_link(),
    "layer is a hard link": linked(HARD, "base.tar", member("base.tar", DockerArchive().layer)),
    "member with dots": archive(lambda made: made.last.append(member("../../pwned", b"x"))),
    "devices beside": archive(lambda made: made.last.append(member("dev", b"", tarfile.CHRTYPE))),
    "long names": archive(lambda made: made.last.append(member("x" * 300, b"x"))),
}


@pytest.mark.parametrize("name", GOOD)
def test_accepted_with_one_digest(name: str) -> None:
    Path("image.tar").write_bytes(GOOD[name])
    assert run(["add", "docker-archive:image.tar", "vanessa/greeting:new"]) == 0
    folder = Path("collections/vanessa/greeting")
    manifest = json.loads((folder / "manifests/new/manifest.json").read_bytes())
    config, layer = manifest["config"], manifest["layers"][0]
    stored = DockerArchive()
    blobs = folder / "blobs/sha256"
    assert (blobs / config["digest"][7:]).read_bytes() == stored.config
    assert gzip.decompress((blobs / layer["digest"][7:]).read_bytes()) == stored.layer
    assert not Path("../pwned").exists()


def test_one_of_two_images_by_name() -> None:
    Path("image.tar").write_bytes(archive(two))
    assert run(["add", "docker-archive:image.tar:y:latest", "vanessa/greeting:y"]) == 0
    assert run(["add", "docker-archive:image.tar:z:latest", "vanessa/greeting:z"]) == 1


def test_layers_that_are_compressed_keep_their_bytes() -> None:
    packed = gzip.compress(DockerArchive().layer, 9)
    Path("image.tar").write_bytes(archive(zipped_layer(packed)))
    assert run(["add", "docker-archive:image.tar", "vanessa/greeting:new"]) == 0
    blobs = Path("collections/vanessa/greeting/blobs/sha256")
    assert packed in [file.read_bytes() for file in blobs.iterdir()]


def test_a_bomb_is_not_unpacked_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.transports.archive._FREE_RATIO", 1 << 20)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info, data = member("zeros", bytes(16 << 20))
        tar.addfile(info, io.BytesIO(data))
    Path("bomb.tar.gz").write_bytes(gzip.compress(made.getvalue()))
    with pytest.raises(ContentError, match="decompresses to more"):
        open_archive("bomb.tar.gz", Path("spool"))
    assert list(Path("spool").iterdir()) == []


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_file_is_not_replaced(
    make: Callable[[Path], None], kind: str, greeting: Path, tmp_path: Path
) -> None:
    """Such as /dev/null and /dev/stdout, by whoever may."""
    make(place := tmp_path / "place")
    before = place.lstat()
    assert run(["export", "-s", str(greeting), "vanessa/greeting", f"{kind}:{place}"]) == 2
    assert place.lstat() == before
