"""The files of an app, taken out of its layers and kept by their digests.

No name out of a layer ever becomes a name on this disk: contents are files
named by their own digest, and what the app calls them stands in a list
beside. So a hostile archive can do no more than be refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from builder.apps.model import App, AppConfig, AppFile, path_fault
from builder.errors import ContentError
from builder.oci.digest import Digest
from builder.transports.archive import Archive, open_archive

MAX_FILES = 20_000
MAX_BYTES = 1 << 30
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_CHUNK = 1 << 20


@dataclass(slots=True)
class AppStore:
    """Unpacked apps below one folder of the cache; safe for several processes at once."""

    root: Path
    _known: dict[str, App] = field(default_factory=dict)

    def path(self, file: AppFile) -> Path:
        """Return where a file's content is."""
        return self.root / "files" / file.digest.partition(":")[2]

    def get(self, manifest: Digest) -> App | None:
        """Return an app that was unpacked before, if all of it is still there."""
        if manifest in self._known:
            return self._known[manifest]
        try:
            document = json.loads(self._list(manifest).read_bytes())
            config = AppConfig(document["root"], document["spa"])
            files = {path: AppFile(*values) for path, values in document["files"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if any(not self._is_whole(file) for file in files.values()):
            return None
        self._known[manifest] = App(config, files)
        return self._known[manifest]

    def unpack(
        self, manifest: Digest, config: AppConfig, layers: Sequence[Callable[[], Path]], label: str
    ) -> App:
        """Unpack an app unless it is here; each of `layers` gives the path of a verified layer.

        Raises ContentError naming `label` for layers that hold what cannot be
        published, or too much.
        """
        if (known := self.get(manifest)) is not None:
            return known
        (self.root / "files").mkdir(parents=True, exist_ok=True)
        files: dict[str, AppFile] = {}
        for layer in layers:
            self._layer(layer(), config.root, label, files)
        if "index.html" not in files:
            where = f"{config.root}/index.html" if config.root else "index.html"
            raise ContentError.at(label, f"the app has no {where}", "is rootDir right?")
        _refuse_clashes(files, label)
        app = App(config, dict(sorted(files.items())))
        self._write_list(manifest, app)
        self._known[manifest] = app
        return app

    def _layer(self, path: Path, root: str, label: str, files: dict[str, AppFile]) -> None:
        archive = open_archive(os.fspath(path), self.root)
        try:
            for name in archive.names():
                self._member(archive, name, root, label, files)
        except ContentError as error:
            text = "; ".join(problem.message for problem in error.problems)
            raise ContentError.at(label, f"the app's layer {text}") from None
        finally:
            archive.close()

    def _member(
        self, archive: Archive, name: str, root: str, label: str, files: dict[str, AppFile]
    ) -> None:
        if fault := path_fault(name.removesuffix("/")):
            raise ContentError.at(label, f"{name!r} {fault}")
        inner = name if not root else name.removeprefix(f"{root}/")
        if root and inner == name:
            return
        folder, _, base = inner.rpartition("/")
        if base.startswith(_WHITEOUT):
            _remove(files, folder, base)
            return
        if any(part.startswith(".") for part in inner.split("/")) and ".well-known" not in inner:
            return
        if archive.is_link(name):
            raise ContentError.at(label, f"{name} is a link, which is not published")
        with archive.open(name) as stream:
            files[inner] = self._keep(stream)
        total = sum(file.size for file in files.values()) if len(files) % 100 == 0 else 0
        if len(files) > MAX_FILES or total > MAX_BYTES:
            raise ContentError.at(label, f"has more than {MAX_FILES} files or {MAX_BYTES} bytes")

    def _keep(self, stream: BinaryIO) -> AppFile:
        """Keep a content under its digest."""
        total, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.root / "files", prefix=".", delete=False) as out:
            try:
                while chunk := stream.read(_CHUNK):
                    total.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
            except BaseException:
                Path(out.name).unlink()
                raise
        file = AppFile(size, f"sha256:{total.hexdigest()}")
        Path(out.name).replace(self.path(file))
        return file

    def _is_whole(self, file: AppFile) -> bool:
        try:
            return self.path(file).stat().st_size == file.size
        except FileNotFoundError:
            return False

    def _list(self, manifest: Digest) -> Path:
        return self.root / f"{manifest.encoded}.json"

    def _write_list(self, manifest: Digest, app: App) -> None:
        files = {path: [file.size, file.digest] for path, file in app.files.items()}
        document = {"root": app.config.root, "spa": app.config.spa, "files": files}
        with tempfile.NamedTemporaryFile(
            "w", dir=self.root, prefix=".", delete=False, encoding="utf-8"
        ) as out:
            json.dump(document, out, ensure_ascii=False, separators=(",", ":"))
        Path(out.name).replace(self._list(manifest))


def _remove(files: dict[str, AppFile], folder: str, base: str) -> None:
    """Apply a whiteout. Source: image-spec `layer.md`, "Whiteouts"."""
    gone = folder if base == _OPAQUE else "/".join(filter(None, (folder, base[len(_WHITEOUT) :])))
    for path in list(files):
        if path == gone or path.startswith(f"{gone}/") or not gone:
            del files[path]


def _refuse_clashes(files: dict[str, AppFile], label: str) -> None:
    """Refuse names that are one on disks that ignore case, and files that are also folders."""
    seen: dict[str, str] = {}
    for path in files:
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise ContentError.at(label, f"{other} and {path} are the same but for case")
        above = path.rpartition("/")[0]
        while above:
            if above in files:
                raise ContentError.at(label, f"{above} is a file and a folder")
            above = above.rpartition("/")[0]
