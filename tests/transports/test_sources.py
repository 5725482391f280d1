"""The contract of an image source, for every transport; and which one a text names."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.errors import BuilderError, ContentError, UsageError
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import walk
from builder.transports.sources import ImageSource, SourceOptions, open_source
from tests.transports.samples import DockerArchive, tar_of, write_layout

Make = Callable[[Path], str]


def layout(folder: Path) -> str:
    write_layout(folder / "layout")
    return f"oci:{folder}/layout"


def oci_archive(folder: Path) -> str:
    layout(folder)
    (folder / "oci.tar").write_bytes(tar_of(folder / "layout"))
    return f"oci-archive:{folder}/oci.tar"


def oci_archive_gzip(folder: Path) -> str:
    oci_archive(folder)
    (folder / "oci.tgz").write_bytes(gzip.compress((folder / "oci.tar").read_bytes()))
    return f"oci-archive:{folder}/oci.tgz"


def docker_archive(folder: Path) -> str:
    (folder / "docker.tar").write_bytes(DockerArchive().raw())
    return f"docker-archive:{folder}/docker.tar"


TRANSPORTS = [layout, oci_archive, oci_archive_gzip, docker_archive]


@pytest.fixture(params=TRANSPORTS, ids=lambda make: make.__name__)
def text(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    make: Make = request.param
    return make(tmp_path)


@pytest.fixture
def source(text: str, tmp_path: Path) -> Iterator[ImageSource]:
    with open_source([text], SourceOptions(tmp_path / "spool")) as opened:
        yield opened


def test_entries_are_what_resolve_gives(source: ImageSource) -> None:
    entry = source.resolve()
    assert [name.rpartition(":")[2] for name in source.names()] == ["latest"]
    assert source.referrers(entry.digest) == ()
    assert source.resolve().digest == entry.digest
    assert source.resolve("latest").digest == entry.digest


def test_everything_that_an_image_needs_is_there(source: ImageSource) -> None:
    nodes = list(walk(source.resolve(), source, source.label))
    assert len(nodes) == 3
    for node in nodes:
        assert read_verified(source, node.descriptor, source.label)


def test_content_can_be_opened_twice_at_once(source: ImageSource) -> None:
    descriptor = next(walk(source.resolve(), source, source.label)).descriptor
    with source.open(descriptor) as one, source.open(descriptor) as two:
        assert one.read(3) == two.read(3)
        assert one.read() == two.read()


def test_what_is_not_there(source: ImageSource) -> None:
    nowhere = Descriptor("text/plain", Digest.of(b"nowhere"), 7)
    with pytest.raises(FileNotFoundError):
        source.open(nowhere)
    with pytest.raises(ContentError, match="nothing-like-it"):
        source.resolve("nothing-like-it")


def test_reference_after_the_path(text: str, tmp_path: Path) -> None:
    with open_source([f"{text}:latest"], SourceOptions(tmp_path)) as source:
        assert source.resolve()
    with (
        open_source([f"{text}:other"], SourceOptions(tmp_path)) as source,
        pytest.raises(ContentError),
    ):
        source.resolve()


def test_a_bare_path_is_recognised(text: str, tmp_path: Path) -> None:
    bare = text.partition(":")[2]
    with (
        open_source([text], SourceOptions(tmp_path)) as one,
        open_source([bare], SourceOptions(tmp_path)) as two,
    ):
        assert type(one) is type(two)
        assert one.resolve() == two.resolve()
    with open_source([f"{bare}:latest"], SourceOptions(tmp_path)) as source:
        assert source.resolve()


def test_nothing_stays_in_the_spool(text: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with open_source([text], SourceOptions(spool)) as source:
        source.resolve()
    assert not spool.exists() or list(spool.iterdir()) == []


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "image.zip", "w") as archive:
        archive.writestr("oci-layout", "{}")


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("./nope", ContentError, "./nope: does not exist"),
        ("oci:nope", ContentError, "nope: does not exist"),
        ("oci-archive:nope.tar", ContentError, "nope.tar: does not exist"),
        ("docker-archive:nope.tar", ContentError, "nope.tar"),
        ("oci:", UsageError, "names no path"),
        ("ftp://example.org/x:1", UsageError, "docker-archive:"),
        ("ftp:x", UsageError, "'ftp'"),
        ("image.zip", ContentError, "type"),
        ("other.tar", ContentError, "oci-layout"),
        ("oci-archive:folder", ContentError, "regular file"),
    ],
)
def test_what_cannot_be_opened(
    text: str,
    kind: type[BuilderError],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    zipped(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x").write_text("x")
    (tmp_path / "other.tar").write_bytes(tar_of(tmp_path / "folder"))
    with pytest.raises(kind) as caught:
        open_source([text], SourceOptions(tmp_path / "spool"))
    assert word in str(caught.value)


def test_conversion_has_one_result(tmp_path: Path) -> None:
    text = docker_archive(tmp_path)
    manifests = set()
    for _ in range(2):
        with open_source([text], SourceOptions(tmp_path)) as source:
            manifests.add(source.resolve().digest)
    assert len(manifests) == 1


def test_a_folder_that_is_no_layout(tmp_path: Path) -> None:
    with (
        open_source([str(tmp_path)], SourceOptions(tmp_path)) as source,
        pytest.raises(ContentError) as caught,
    ):
        source.resolve()
    assert "oci-layout" in str(caught.value)


def test_gzip_of_an_archive_with_dot_names(tmp_path: Path) -> None:
    layout(tmp_path)
    raw = tar_of(tmp_path / "layout")
    renamed = io.BytesIO()
    import tarfile  # noqa: PLC0415 - only here

    with (
        tarfile.open(fileobj=io.BytesIO(raw)) as old,
        tarfile.open(fileobj=renamed, mode="w") as new,
    ):
        for info in old.getmembers():
            content = old.extractfile(info)
            info.name = f"./{info.name}"
            new.addfile(info, content)
    (tmp_path / "dots.tar").write_bytes(renamed.getvalue())
    with open_source([f"{tmp_path}/dots.tar"], SourceOptions(tmp_path)) as source:
        assert list(walk(source.resolve(), source, source.label))
