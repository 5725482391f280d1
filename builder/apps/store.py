"""Unpacked apps on this disk, each in a folder of its own that can be thrown away whole.

    <root>/<digest of the manifest>/app.json     config, and what each file is called
    <root>/<digest of the manifest>/<sha256>     a file's content

A folder appears when all of it is there, by rename. What was read from the
disk is hashed before it is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from builder.apps.model import App, AppConfig, AppFile
from builder.apps.unpack import measure, unpack
from builder.errors import LocalError
from builder.oci.content import ContentReader
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest

_LIST = "app.json"
_UNFINISHED = ".incoming-"
_STALE = 86_400  # seconds after which what is unfinished was left by a killed run


@dataclass(slots=True)
class AppStore:
    """Apps below the folder `root`; several threads and processes may use it at once."""

    root: Path
    _known: dict[Digest, App] = field(default_factory=dict)

    def path(self, manifest: Digest, file: AppFile) -> Path:
        """Return where the content of a file of an app is."""
        return self._folder(manifest) / file.name

    def get(self, manifest: Digest) -> App | None:
        """Return an app that was unpacked before; None when it is not here whole."""
        folder = self._folder(manifest)
        try:
            os.utime(folder)  # the folder's time says when it was last asked for
        except FileNotFoundError:
            self._known.pop(manifest, None)
            return None
        if manifest not in self._known:
            if (app := self._read(manifest)) is None:
                shutil.rmtree(folder, ignore_errors=True)
                return None
            self._known[manifest] = app
        return self._known[manifest]

    def unpack(
        self,
        manifest: Digest,
        config: AppConfig,
        layers: Sequence[Descriptor],
        reader: ContentReader,
        label: str,
    ) -> App:
        """Return the app of a manifest, unpacked from its layers unless it is here.

        Raises ContentError naming `label` for layers that hold what cannot be
        published, or too much; LocalError for a disk that refuses.
        """
        if (known := self.get(manifest)) is not None:
            return known
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
            try:
                keep = _Keeper(temporary).keep
                files = unpack(layers, reader, config.root, keep, label)
                app = App(manifest, config, files)
                (temporary / _LIST).write_bytes(_to_json(app))
                self._place(temporary, manifest)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise LocalError.of(error, self.root, "is the disk full?") from error
        self._known[manifest] = app
        return app

    def trim(self, limit: int) -> None:
        """Forget the apps that were asked for longest ago, until `limit` bytes are left.

        The one that was asked for last stays, however large. Also sweeps what
        killed runs left.
        """
        total = 0
        for number, (_, folder) in enumerate(sorted(self._folders(), reverse=True)):
            try:
                total += sum(entry.stat().st_size for entry in os.scandir(folder))
            except FileNotFoundError:  # another process forgets things too
                continue
            if total > limit and number:
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterable[tuple[float, Path]]:
        """Yield the folders of apps, with the time they were last asked for."""
        try:
            entries = list(os.scandir(self.root))
        except FileNotFoundError:
            return
        for entry in entries:
            age = entry.stat().st_mtime
            if not entry.name.startswith(_UNFINISHED):
                yield age, Path(entry.path)
            elif age < time.time() - _STALE:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _place(self, temporary: Path, manifest: Digest) -> None:
        """Give a finished folder its name, unless somebody else was faster."""
        final = self._folder(manifest)
        try:
            temporary.rename(final)
        except OSError:
            if self._read(manifest) is None:
                raise

    def _folder(self, manifest: Digest) -> Path:
        return self.root / manifest.encoded

    def _read(self, manifest: Digest) -> App | None:
        """Return what a folder holds; None for what is not whole."""
        folder = self._folder(manifest)
        try:
            document = json.loads((folder / _LIST).read_bytes())
            config = AppConfig(document["root"], spa=document["spa"])
            files = {path: AppFile(*values) for path, values in document["files"].items()}
            app = App(manifest, config, files)
            whole = all(_is_whole(self.path(manifest, file), file) for file in set(files.values()))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return app if whole else None


def _is_whole(path: Path, file: AppFile) -> bool:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == file.digest


def _to_json(app: App) -> bytes:
    files = {path: [file.size, file.digest] for path, file in app.files.items()}
    document = {"root": app.config.root, "spa": app.config.spa, "files": files}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class _Keeper:
    """Writes contents into a folder, under their digests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, chunks: Iterable[bytes]) -> AppFile:
        """Keep one content and say what it is."""
        temporary = self._folder / "content"
        with temporary.open("wb") as out:
            file = measure(_copied(chunks, out))
        temporary.replace(self._folder / file.name)
        return file


def _copied(chunks: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    for chunk in chunks:
        out.write(chunk)
        yield chunk
