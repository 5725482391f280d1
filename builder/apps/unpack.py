"""The files of an app, read out of its layers.

A layer is read forwards and once, as it comes. What its members are called
never becomes a name on a disk here: their bytes are handed to `keep`, their
names are keys of a mapping, and a hostile archive can do no more than be
refused. Source: image-spec `layer.md`.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, cast

from builder.apps.model import AppFile, path_fault
from builder.errors import ContentError
from builder.layers.compression import CompressionError, Unpacked
from builder.layers.listing import FileEntry, entry_of
from builder.layers.pack import is_hidden
from builder.layers.tarwalk import Forward, cut_short, walk
from builder.oci.content import ContentReader, Reading, opened
from builder.oci.descriptor import Descriptor
from builder.transports.archive import unpacked_limit

PAGE = "index.html"  # what an app must have
MAX_FILES = 20_000
MAX_BYTES = 1 << 30  # of all layers together, unpacked
_CHUNK = 256 << 10

Keep = Callable[[Iterable[bytes]], AppFile]


@dataclass(slots=True)
class _Layer:
    """What one layer does to those below it: files it brings, paths it takes away."""

    files: dict[str, AppFile] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def over(self, lower: Mapping[str, AppFile]) -> dict[str, AppFile]:
        """Return the files of this layer, and those of `lower` that it leaves."""
        folders = {folder for path in self.files for folder in _folders(path)}
        away = self.files.keys() | self.gone
        kept = {
            path: file
            for path, file in lower.items()
            if path not in folders and path not in away and away.isdisjoint(_folders(path))
        }
        return kept | self.files


def unpack(
    layers: Sequence[Descriptor], reader: ContentReader, root: str, keep: Keep, label: str
) -> dict[str, AppFile]:
    """Return the files below `root` by their path there, in byte order.

    `keep` is given the bytes of each and says what they are. Raises
    ContentError naming `label` for layers that are damaged, that hold what
    cannot be published, or too much.
    """
    files: dict[str, AppFile] = {}
    left = MAX_BYTES
    for descriptor in layers:
        try:
            layer, size = _read(descriptor, reader, root, keep, label=label, left=left)
        except ContentError as error:
            text = f"the layer {descriptor.digest}: "
            raise ContentError(
                replace(problem, path=label, message=text + problem.message)
                for problem in error.problems
            ) from None
        left -= size
        files = layer.over(files)
        if len(files) > MAX_FILES:
            raise ContentError.at(label, f"the app has more than {MAX_FILES} files")
    prefix = f"{root}/" if root else ""
    inside = {path.removeprefix(prefix): file for path, file in files.items()}
    _refuse_clashes(inside, label)
    if PAGE not in inside:
        raise ContentError.at(label, f"the app has no {prefix}{PAGE}", "is rootDir right?")
    return dict(sorted(inside.items()))


def _read(
    layer: Descriptor, reader: ContentReader, root: str, keep: Keep, *, label: str, left: int
) -> tuple[_Layer, int]:
    """Return what a layer brings and takes, and its length in bytes when unpacked."""
    found = _Layer()
    with opened(reader, layer, label) as verified:
        limit = min(left, unpacked_limit(layer.size))
        tar = Forward(Unpacked(cast("BinaryIO", _Raw(verified)), limit), label)
        try:
            for name, member in walk(tar, label):
                if fault := path_fault(name.removesuffix("/")):
                    raise ContentError.at(label, f"{name[:200]!a} {fault}")
                if (entry := entry_of(member)) is None:
                    continue
                if entry.kind in ("w", "o"):
                    found.gone.add(entry.path)
                elif _is_wanted(entry.path, root):
                    _refuse(entry, member.fault, found, label)
                    found.files[entry.path] = keep(_content(tar, member.size, label))
            while tar.read(_CHUNK):  # a checksum stands at the end
                pass
        except CompressionError as error:
            raise ContentError.at(label, error.message) from None
        while verified.read():  # only at its end are the size and digest known to be right
            pass
    return found, tar.at


def _content(tar: Forward, size: int, label: str) -> Iterator[bytes]:
    while size:
        if not (chunk := tar.read(min(size, _CHUNK))):
            raise cut_short(label)
        size -= len(chunk)
        yield chunk


def _is_wanted(path: str, root: str) -> bool:
    """Tell whether a member is below the root, and not hidden there."""
    inside = path.removeprefix(f"{root}/") if root else path
    return (inside != path or not root) and not any(map(is_hidden, inside.split("/")))


def _refuse(entry: FileEntry, fault: str, layer: _Layer, label: str) -> None:
    """Raise ContentError for a member that cannot be one of the files, or has a fault anyway."""
    if entry.target:
        fault = "is a link, which is not published"
    elif entry.path in layer.files:
        fault = "is in the layer twice"
    if fault:
        raise ContentError.at(label, f"{entry.path} {fault}")
    if len(layer.files) >= MAX_FILES:
        raise ContentError.at(label, f"holds more than {MAX_FILES} files")


def _folders(path: str) -> Iterator[str]:
    """Yield the folders above a path, the last the empty one that holds all."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _refuse_clashes(files: Mapping[str, AppFile], label: str) -> None:
    """Refuse names that are one on some disk, and files that are folders too."""
    seen: dict[str, str] = {}
    for path in files:
        other = seen.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            raise ContentError.at(label, f"{other} and {path} are one file on some disks")
        if folder := next((above for above in _folders(path) if above in files), ""):
            raise ContentError.at(label, f"{folder} is a file and a folder")


def measure(chunks: Iterable[bytes]) -> AppFile:
    """Return what a content is, and keep nothing: for who only wants to know what is wrong."""
    total, size = hashlib.sha256(), 0
    for chunk in chunks:
        total.update(chunk)
        size += len(chunk)
    return AppFile(size, f"sha256:{total.hexdigest()}")


class _Raw(io.RawIOBase):
    """A verified reader as the kind of stream that decompressors take."""

    def __init__(self, verified: Reading) -> None:
        super().__init__()
        self._verified = verified

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to a buffer's length."""
        chunk = self._verified.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
