"""`builder add --files`: listings of what the layers hold."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from builder.cli.console import Console
from builder.errors import ContentError, Problem, RemoteError
from builder.layers.compression import CompressionError, Unpacked
from builder.layers.record import MAX_RATIO, is_listed, record_listing
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import VerifiedReader
from builder.registry.model import RegistryOptions
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError
from builder.storage import LocalStorage
from builder.storage.local import open_regular
from builder.transports.registry_sink import RegistrySink

_HINT = "the image is taken as it is"
_SMALL = 8 << 20  # bytes of a layer that is unpacked only to see whether it can be
_CHUNK = 256 << 10


class FileLister:
    """Makes the listings of the layers of what is added, as far as they have none.

    A layer that cannot be listed is a warning: it is an image all the same.
    `listed` counts those that were.
    """

    def __init__(self, options: RegistryOptions, remote: RemoteOptions, console: Console) -> None:
        self.listed = 0
        self._options = options
        self._remote = remote
        self._console = console

    def __call__(self, sink: RegistrySink, tag: str) -> None:
        """List what a sink has staged, and what was there before."""
        cache = self._options.source / ".builder-cache"
        cache.mkdir(exist_ok=True)
        layers = [part.descriptor for part in sink.parts.values() if part.is_layer]
        for number, layer in enumerate(layers, 1):
            if not mediatype.is_filesystem_layer(layer.media_type):
                continue
            if is_listed(sink.folder.path, layer, sink.folder.origin):
                continue
            with TemporaryDirectory(prefix="layers-", dir=cache) as spool:
                try:
                    cut = self._list(sink, layer, LocalStorage(Path(spool)))
                    fault = f"not all listed: {cut}" if cut else ""
                except ContentError as error:
                    fault = f"not listed: {error.what}"
                except RemoteError as error:
                    fault = f"not listed: {error.message}"
            if fault:
                message = f"the files of layer {number}, {layer.digest}, are {fault}"
                where = f"{sink.folder.name}:{tag}"
                self._console.warn(Problem(where, message=message, hint=_HINT, warning=True))

    def _list(self, sink: RegistrySink, layer: Descriptor, fetched: LocalStorage) -> str:
        """List a layer's files, if the layer is to be had; return why that is not all of them."""
        file = sink.find(layer.digest) or self._fetch(layer, fetched)
        if file is None:
            return ""
        cut = record_listing(sink.stage.folder, layer, file)
        self.listed += 1
        return cut

    def _fetch(self, layer: Descriptor, into: LocalStorage) -> Path | None:
        """Return a file of a layer that `registry.blobs` has; None where it has it not."""
        if self._options.offsite is None:
            return None
        url = self._options.offsite.url(layer.digest)
        try:
            with open_url(url, self._remote, size=layer.size, named=True) as stream:
                into.put(layer.digest, VerifiedReader(stream, layer.digest, layer.size))
        except NotFoundError:
            return None
        return into.path(layer.digest)


def warn_of_damage(sink: RegistrySink, tag: str, console: Console) -> None:
    """Warn of new layers that nobody can unpack, though their digests are right.

    Those over 8 MiB are not looked at: unpacking takes longer than all else.
    """
    layers = [part for part in sink.parts.values() if part.is_layer]
    for number, part in enumerate(layers, 1):
        layer = part.descriptor
        if part.kept or layer.size > _SMALL or not mediatype.is_filesystem_layer(layer.media_type):
            continue
        if (file := sink.find(layer.digest)) is None:
            continue
        limit = max(_SMALL, layer.size * MAX_RATIO)
        try:
            with open_regular(file, layer.digest) as stream, Unpacked(stream, limit) as unpacked:
                while unpacked.read(_CHUNK):
                    pass
        except CompressionError as error:
            message = f"layer {number}, {layer.digest}, {error.message}"
            where = f"{sink.folder.name}:{tag}"
            console.warn(Problem(where, message=message, hint=_HINT, warning=True))
