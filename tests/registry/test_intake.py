"""Adding images: where the bytes go, and what a failed run leaves."""

from __future__ import annotations

import json
import os
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import pytest

from builder.errors import BuilderError, ContentError, LocalError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import select_platform
from builder.oci.layout import ImageLayout
from builder.oci.platform import Platform
from builder.oci.reference import Reference, cosign_tags
from builder.registry.edit import lock
from builder.registry.model import RegistryOptions
from builder.storage import LocalStorage
from builder.storage.parallel import Progress, silent
from builder.transports.intake import Added, add_image
from builder.transports.registry_sink import Terms
from builder.transports.sources import SourceOptions, open_source
from tests.conftest import read_tree, write_tree
from tests.images import LAYER, MANIFEST, Image, as_json
from tests.images import descriptor as descriptor_of

DAY = "2024-05-31T09:30:00Z"
TERMS = Terms(created=DAY)
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - the shape of shutil's


@pytest.fixture
def options(registry: Path) -> RegistryOptions:
    (registry / "collections").mkdir()
    return RegistryOptions(registry)


def add(
    options: RegistryOptions,
    image: Image,
    reference: str = "x/y:latest",
    *,
    progress: Progress = silent,
    platform: Platform | None = None,
    **terms: Any,
) -> Added:
    layout = options.source.parent / "layout"
    image.layout(layout, "latest")
    with lock(options), open_source([str(layout)], SourceOptions(layout / "spool")) as source:
        top = source.resolve()
        if platform is not None:
            top = select_platform(top, source, "layout", platform)
        wanted, made = Reference.parse(reference), Terms(created=DAY, **terms)
        return add_image(options, source, top, wanted, made, progress=progress)


def folder(options: RegistryOptions) -> Path:
    return options.source / "collections/x/y"


def names(folder: Path) -> list[str]:
    return list(read_tree(folder))


def test_a_new_collection(options: RegistryOptions) -> None:
    annotations = {
        "org.opencontainers.image.title": "Title: \u2028\x1b[0m'\"",
        "org.opencontainers.image.description": "Says hello",
    }
    image = Image.of("one", annotations=annotations)
    added = add(options, image)
    assert added.changed
    assert {part.place for part in added.parts} == {"collection"}
    assert read_tree(folder(options)) == {
        **{f"blobs/{name.replace(':', '/')}": data for name, data in image.blobs.items()},
        "README.md": b'---\ntitle: "Title: \\\\x1b[0m\'\\""\ndescription: Says hello\n---\n',
        "manifests/latest/README.md": f"---\ncreated: {DAY}\n---\n".encode(),
        "manifests/latest/manifest.json": image.manifest,
    }


def test_large_layers_go_to_the_store(options: RegistryOptions) -> None:
    small = RegistryOptions(options.source, commit_below=10)
    added = add(small, Image.of("one"))
    places = {part.is_layer: part.place for part in added.parts}
    assert places == {True: "store", False: "collection"}
    assert len(names(options.source / "_blobs")) == 1
    assert len(names(folder(options) / "blobs")) == 1


def test_children_of_an_index_are_blobs(options: RegistryOptions) -> None:
    image = Image.index(Image.of("one"), Image.of("two"))
    add(options, image)
    stored = {f"sha256:{Path(name).name}" for name in names(folder(options) / "blobs")}
    assert stored == set(image.blobs)


def test_one_platform_of_an_index(options: RegistryOptions) -> None:
    two = Image.of("two")
    image = Image.index(Image.of("one"), two)
    assert add(options, image, platform=Platform("linux", "arm64")).digest == two.digest
    with pytest.raises(ContentError, match="linux/riscv64") as caught:
        add(options, image, platform=Platform("linux", "riscv64"))
    assert "linux/amd64, linux/arm64" in str(caught.value)


def test_what_is_there_is_not_copied_again(options: RegistryOptions) -> None:
    image = Image.of("one")
    assert add(options, image).new_bytes > 0
    before = {path: path.stat().st_mtime_ns for path in options.source.rglob("*")}
    again = add(options, image)
    assert (again.new_bytes, again.changed) == (0, False)
    for path, moment in before.items():
        if path.is_file() and path.name != "registry.lock":
            assert path.stat().st_mtime_ns == moment


def test_a_damaged_blob_is_replaced(options: RegistryOptions) -> None:
    image = Image.of("one")
    add(options, image)
    digest, data = next(iter(image.blobs.items()))
    file = folder(options) / "blobs" / digest.replace(":", "/")
    file.write_bytes(b"x" * len(data))
    add(options, image)
    assert file.read_bytes() == data


def test_a_tag_moves_and_keeps_its_notes(options: RegistryOptions) -> None:
    add(options, Image.of("one"))
    readme = folder(options) / "manifests/latest/README.md"
    readme.write_text("---\nyanked: never\n---\nNotes\n")
    add(options, Image.of("two"))
    assert readme.read_text() == f"---\nyanked: never\ncreated: {DAY}\n---\nNotes\n"


def test_a_readme_is_the_same_in_any_case(options: RegistryOptions) -> None:
    add(options, Image.of("one"))
    for inner in ("", "manifests/latest/"):
        (folder(options) / f"{inner}README.md").rename(folder(options) / f"{inner}readme.md")
    (folder(options) / "readme.md").write_text("---\ntitle: x\nimmutable: true\n---\n")
    with pytest.raises(ContentError, match="immutable"):
        add(options, Image.of("two"))
    add(options, Image.of("two"), force=True)
    assert [name for name in names(folder(options)) if name.lower().endswith("readme.md")] == [
        "manifests/latest/readme.md", "readme.md",
    ]  # fmt: skip


def test_an_immutable_tag_takes_the_same_image_only(options: RegistryOptions) -> None:
    options = RegistryOptions(options.source, immutable=("latest",))
    add(options, Image.of("one"))
    add(options, Image.of("one"))
    with pytest.raises(ContentError, match="immutable"):
        add(options, Image.of("two"))
    add(options, Image.of("two"), force=True)


def test_dry_run_writes_nothing(options: RegistryOptions) -> None:
    assert add(options, Image.of("one"), dry_run=True).new_bytes > 0
    assert names(options.source / "collections") == []


class _StopError(KeyboardInterrupt):
    pass


@contextmanager
def interrupted(_: int | None) -> Iterator[Any]:
    def advance(_: int) -> None:
        raise _StopError

    yield advance


@pytest.mark.parametrize("before", [False, True])
def test_an_interrupted_run_leaves_nothing(options: RegistryOptions, *, before: bool) -> None:
    if before:
        add(options, Image.of("one"))
    tree = read_tree(options.source / "collections")
    with pytest.raises(_StopError):
        add(options, Image.of("two"), progress=interrupted)
    assert read_tree(options.source / "collections") == tree
    assert sorted(os.listdir(options.source / "collections")) == (["x"] if before else [])


@pytest.mark.parametrize("below", [1 << 30, 0], ids=["in the collection", "in the store"])
def test_all_of_it_survives_a_power_cut(
    options: RegistryOptions, below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, commit_below=below)
    settled: set[int] = set()
    fsync = os.fsync

    def noting(number: int) -> None:
        fsync(number)
        settled.add(os.fstat(number).st_ino)

    monkeypatch.setattr(os, "fsync", noting)
    for image, reference in (
        (Image.of("one"), "x/y:latest"), (Image.of("two"), "x/y:other"),
        (Image.of("three"), "x/y:latest"), (Image.of("four"), "z:latest"),
    ):  # fmt: skip
        settled.clear()
        known = set(everything(options))
        add(options, image, reference)
        fresh = set(everything(options)) - known
        assert fresh
        for path in fresh:
            assert path.stat().st_ino in settled, path
            assert path.parent.stat().st_ino in settled, path


def everything(options: RegistryOptions) -> Iterator[Path]:
    for name in (options.collections, options.store):
        yield from (path for path in (options.source / name).rglob("*"))


def refusing(*_: object) -> None:
    raise OSError(28, "No space left on device")


STEPS = ["storage.local.new_file", "storage.local.sync_folder", "registry.stage.sync_files",
         "registry.stage.make_folder"]  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk(options: RegistryOptions, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"builder.{step}", refusing)
        with pytest.raises((LocalError, OSError), match="No space left"):
            add(options, Image.of("one"))
    assert names(options.source / "collections") == []
    add(options, Image.of("one"))


def test_a_disk_that_fills_when_the_tag_is_written(
    options: RegistryOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(options, Image.of("one"))
    tree = read_tree(folder(options))
    with monkeypatch.context() as patch:
        patch.setattr("builder.registry.stage.write_whole", refusing)
        with pytest.raises(LocalError, match="No space left"):
            add(options, Image.of("two"), "x/y:new")
    assert read_tree(folder(options)) == tree


def test_more_than_the_disk_has_is_refused_first(
    options: RegistryOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 10, 0))
    with pytest.raises(LocalError, match="0 are free"):
        add(options, Image.of("one"))
    assert names(options.source / "collections") == []


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"oci-layout": "{}"}, "image layout"),
        ({"manifests/latest/oci-layout": "{}"}, "image layout"),
        ({"manifests/LATEST/manifest.json": "{}"}, "case"),
    ],
)
def test_where_nothing_can_be_added(
    options: RegistryOptions, files: dict[str, str], word: str
) -> None:
    write_tree(folder(options), files)
    before = read_tree(folder(options))
    with pytest.raises(ContentError, match=word):
        add(options, Image.of("one"))
    assert read_tree(folder(options)) == before


@pytest.mark.parametrize("inner", ["x", "x/y", "x/y/manifests", "x/y/blobs", "x/y/blobs/sha256"])
def test_links_out_of_the_registry_are_not_followed(
    options: RegistryOptions, inner: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = options.source / "collections" / inner
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(BuilderError, match="link"):
        add(options, Image.of("one"))
    assert list(outside.iterdir()) == []


class _Plain:
    """What a source has beside its content."""

    label = "x"
    streams = 1
    suggested_tag = ""

    def names(self) -> tuple[str, ...]:
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        raise AssertionError(reference)

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        raise AssertionError(digest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Changing(_Plain):
    """A source whose bytes are others when they are read again."""

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self._count = 0

    def open(self, descriptor: Any) -> Any:
        self._count += 1
        if self._count > 2:
            return (self._path / "other").open("rb")
        return self._storage.open(descriptor.digest)

    _path = Path()


def test_bytes_that_change_while_they_are_read(options: RegistryOptions, tmp_path: Path) -> None:
    image = Image.of("one")
    layout = tmp_path / "layout"
    image.layout(layout, "latest")
    (tmp_path / "other").write_bytes(b"other")
    changing = _Changing(LocalStorage(layout))
    changing._path = tmp_path
    with open_source([str(layout)], SourceOptions(tmp_path)) as source:
        descriptor = source.resolve()
    with pytest.raises(ContentError, match="/config/size"):
        add_image(options, changing, descriptor, Reference.parse("x/y:t"), TERMS)
    assert names(options.source / "collections") == []


class _Together(_Plain):
    """A source that only gives its pieces once several are asked for at the same time."""

    streams = 3

    def __init__(self, storage: LocalStorage, wanted: int) -> None:
        self._storage = storage
        self._meeting = threading.Barrier(wanted, timeout=30)
        self.waiting = False

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if self.waiting and descriptor.media_type == LAYER:
            self._meeting.wait()
        return self._storage.open(descriptor.digest)


def test_pieces_are_read_at_once(options: RegistryOptions, tmp_path: Path) -> None:
    image = Image.index(Image.of("one"), Image.of("two"))
    image.layout(tmp_path / "layout", "latest")
    source = _Together(LocalStorage(tmp_path / "layout"), 2)
    descriptor = ImageLayout(tmp_path / "layout", "layout").entries().entries[0]
    reference = Reference.parse("x/y:t")
    add_image(options, source, descriptor, reference, Terms(created=DAY, dry_run=True))
    source.waiting = True
    add_image(options, source, descriptor, reference, TERMS)
    assert (options.source / "collections/x/y/manifests/t/manifest.json").is_file()


def referring(image: Image, text: str) -> Image:
    """Return an artifact that refers to an image."""
    subject = descriptor_of(MANIFEST, image.manifest)
    return Image.of(text, subject=subject, artifactType="application/vnd.test")


def test_referrers_come_along(options: RegistryOptions, tmp_path: Path) -> None:
    image = Image.of("one")
    sbom = referring(image, "sbom")
    signature = referring(sbom, "signature of the sbom")
    layout = tmp_path / "layout"
    image.layout(layout, "latest")
    for extra in (sbom, signature):
        Image(extra.manifest, extra.blobs | {extra.digest: extra.manifest}).store(layout)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"] += [descriptor_of(MANIFEST, extra.manifest) for extra in (sbom, signature)]
    (layout / "index.json").write_bytes(as_json(index))
    with lock(options), open_source([f"{layout}:latest"], SourceOptions(tmp_path)) as source:
        wanted = Reference.parse("x/y:t")
        plain = add_image(options, source, source.resolve(), wanted, TERMS)
        added = add_image(options, source, source.resolve(), wanted, TERMS, referrers=True)
    assert (plain.referrers, added.referrers, added.changed) == (0, 2, True)
    assert set(added.manifests) == {image.digest, sbom.digest, signature.digest}
    blobs = LocalStorage(options.source / "collections/x/y")
    assert blobs.size(sbom.digest) == len(sbom.manifest)
    assert blobs.size(signature.digest) == len(signature.manifest)


def test_tags_that_cosign_names(options: RegistryOptions) -> None:
    added = add(options, Image.of("one"))
    mine = str(added.digest).replace(":", "-")
    names = ("latest", f"{mine}.sig", f"{mine}.att", f"{mine}.other", f"sha256-{'0' * 64}.sig")
    assert cosign_tags(added.manifests, names) == (f"{mine}.sig", f"{mine}.att")


def test_a_referrer_without_a_subject_is_refused(options: RegistryOptions, tmp_path: Path) -> None:
    add(options, Image.of("one"))
    image = Image.of("two")
    image.layout(tmp_path / "two", "latest")
    with (
        lock(options),
        open_source([str(tmp_path / "two")], SourceOptions(tmp_path)) as source,
        pytest.raises(ContentError, match="subject"),
    ):
        add_image(options, source, source.resolve(), Reference("x/y"), TERMS)
