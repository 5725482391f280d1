"""The contract of a storage, for every backend; and what is the folder's own."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from builder.errors import ContentError, LocalError, RemoteError, UsageError
from builder.oci.digest import Digest, DigestError, VerifiedReader
from builder.storage import (
    CloudStorage,
    LocalStorage,
    MemoryStorage,
    Storage,
    Stored,
    open_storage,
)
from builder.storage.local import make_folder, open_inside, sync_disk
from tests.publish.fake_s3 import FakeS3

ONE, TWO = b"one", b"two two"


@pytest.fixture(params=["local", "memory", "cloud"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each storage in turn."""
    if request.param == "local":
        return LocalStorage(tmp_path)
    if request.param == "memory":
        return MemoryStorage()
    request.getfixturevalue("fake")
    return open_storage("s3://bucket/layers")


def put(storage: Storage, data: bytes, *, algorithm: str = "sha256") -> Digest:
    digest = Digest.of(data, algorithm)
    storage.put(digest, VerifiedReader(io.BytesIO(data), digest, len(data)))
    return digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_is_put_is_there(storage: Storage, algorithm: str) -> None:
    digest = put(storage, ONE, algorithm=algorithm)
    assert storage.size(digest) == 3
    with storage.open(digest) as stream:
        assert stream.read() == ONE
    path = storage.path(digest)
    assert path is None or path.read_bytes() == ONE


def test_putting_again_is_no_error(storage: Storage) -> None:
    assert put(storage, ONE) == put(storage, ONE)
    assert len(list(storage.list())) == 1


def test_what_is_not_there(storage: Storage) -> None:
    digest = Digest.of(b"nowhere")
    assert storage.size(digest) is None
    with pytest.raises(FileNotFoundError):
        storage.open(digest)
    storage.delete(digest)


def test_list_is_in_order_and_delete_forgets(storage: Storage) -> None:
    digests = sorted([put(storage, ONE), put(storage, TWO), put(storage, ONE, algorithm="sha512")])
    assert [stored.digest for stored in storage.list()] == digests
    assert Stored(Digest.of(TWO), 7) in list(storage.list())
    for digest in digests:
        storage.delete(digest)
    assert list(storage.list()) == []


@pytest.mark.parametrize(
    ("data", "size"),
    [(b"other", 5), (b"on", 3), (b"one and more", 3)],
    ids=["bytes", "few", "many"],
)
def test_nothing_is_kept_under_a_wrong_name(storage: Storage, data: bytes, size: int) -> None:
    digest = Digest.of(ONE)
    with pytest.raises(DigestError):
        storage.put(digest, VerifiedReader(io.BytesIO(data), digest, size))
    assert storage.size(digest) is None
    assert list(storage.list()) == []


def test_a_failed_put_leaves_what_was_there(storage: Storage) -> None:
    digest = put(storage, ONE)
    with pytest.raises(DigestError):
        storage.put(digest, VerifiedReader(io.BytesIO(b"two"), digest, 3))
    with storage.open(digest) as stream:
        assert stream.read() == ONE


def test_schemes(tmp_path: Path) -> None:
    assert isinstance(open_storage("memory:"), MemoryStorage)
    assert isinstance(open_storage("gs://bucket/prefix"), CloudStorage)
    assert isinstance(open_storage(str(tmp_path)), LocalStorage)
    with pytest.raises(UsageError, match="ftp"):
        open_storage("ftp://example.org")


def test_a_failed_put_leaves_no_temporary_file(tmp_path: Path) -> None:
    class Interrupting:
        def read(self, _: int = 0, /) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalStorage(tmp_path).put(Digest.of(ONE), Interrupting())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_read_only_place_is_a_local_error(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the folder belongs")
    digest = Digest.of(ONE)
    with pytest.raises(LocalError, match="blobs/sha256"):
        LocalStorage(tmp_path, "store").put(digest, io.BytesIO(ONE))


def test_sweeping_takes_only_what_is_unfinished(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, ONE)
    (tmp_path / "blobs/sha256/.incoming-1-abc").write_text("x")
    (tmp_path / "blobs/sha256/.keep").write_text("x")
    assert len(list(storage.list())) == 1
    storage.sweep()
    assert sorted(os.listdir(tmp_path / "blobs/sha256")) == [".keep", Digest.of(ONE).encoded]


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "folder", "linked folder"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    storage = LocalStorage(tmp_path / "store", "store")
    digest = Digest.of(ONE)
    file = storage.path(digest)
    make_folder(file.parent)
    if kind == "link":
        file.symlink_to("/etc/passwd")
    elif kind == "link to nothing":
        file.symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(ONE)
        (tmp_path / "store/blobs").rename(tmp_path / "elsewhere")
        (tmp_path / "store/blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContentError, match="store/blobs/sha256"):
        storage.open(digest)


def test_opening_below_a_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b")
    (tmp_path / "a/b/file").write_bytes(ONE)
    with open_inside(tmp_path, "a/b/file", "label") as stream:
        assert stream.read() == ONE
    for missing in ("a/nope/file", "a/b/nope", "a/b/file/x", "x" * 300):
        with pytest.raises(FileNotFoundError):
            open_inside(tmp_path, missing, "label")


def test_a_clone_is_checked_and_kept_or_nothing_has_happened(tmp_path: Path) -> None:
    data = b"x" * 300_000
    (tmp_path / "file").write_bytes(data)
    storage = LocalStorage(tmp_path / "store")
    digest = Digest.of(data)

    def verified(stream: BinaryIO) -> VerifiedReader:
        return VerifiedReader(stream, digest, len(data))

    with (tmp_path / "file").open("rb") as stream:
        kept = storage.clone(digest, stream, len(data), verified)
        assert storage.size(digest) == (len(data) if kept else None)
        assert stream.tell() == 0  # what cannot be cloned can still be copied
    with (tmp_path / "file").open("rb") as stream:
        stream.read(1)
        assert not storage.clone(digest, stream, len(data), verified)
    assert not storage.clone(digest, io.BytesIO(data), len(data), verified)
    assert list((tmp_path / "store").rglob(".incoming-*")) == []


def test_a_bucket_that_forgets_what_it_took_is_a_remote_error(fake: FakeS3) -> None:
    fake.lies = lambda key: True  # noqa: ARG005
    digest = Digest.of(ONE)
    with pytest.raises(RemoteError, match="is missing after 3 bytes were sent"):
        open_storage("s3://bucket").put(digest, io.BytesIO(ONE))


def test_large_blobs_go_to_a_bucket_in_parts_and_come_in_pieces(fake: FakeS3) -> None:
    data = bytes(range(256)) * (80 << 10)
    storage = open_storage("s3://bucket/p")
    digest = put(storage, data)
    assert fake.objects[f"p/blobs/sha256/{digest.encoded}"].body == data
    assert len(fake.names("PUT")) > 1
    with storage.open(digest) as stream:
        assert stream.read(3) == data[:3]
        assert stream.read() == data[3:]


def test_a_whole_disk_is_made_durable(tmp_path: Path) -> None:
    sync_disk(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_disk(tmp_path / "gone")
