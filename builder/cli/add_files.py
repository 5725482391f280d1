"""`builder add --files`: listings of what the layers hold."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from builder.cli.options import Console
from builder.errors import ContentError, Problem
from builder.layers.record import listing_path, record_listings
from builder.oci.descriptor import Descriptor
from builder.oci.digest import VerifiedReader
from builder.registry.model import RegistryOptions
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError
from builder.storage import LocalStorage
from builder.transports.registry_sink import RegistrySink


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

    def __call__(self, sink: RegistrySink) -> None:
        """List what a sink has staged, and what was there before."""
        cache = self._options.source / ".builder-cache"
        cache.mkdir(exist_ok=True)
        for part in sink.parts.values():
            layer = part.descriptor
            if part.is_layer and not listing_path(sink.folder.path, layer.digest).exists():
                with TemporaryDirectory(prefix="layers-", dir=cache) as spool:
                    self._list(sink, layer, LocalStorage(Path(spool)))

    def _list(self, sink: RegistrySink, layer: Descriptor, fetched: LocalStorage) -> None:
        def find(layer: Descriptor) -> Path | None:
            return sink.find(layer.digest) or self._fetch(layer, fetched)

        try:
            made = record_listings(sink.stage.folder, [layer], find, sink.folder.origin)
            self.listed += len(made)
        except ContentError as error:
            why = "; ".join(problem.message for problem in error.problems)
            message = f"the files of the layer {layer.digest} cannot be listed: {why}"
            self._console.warn(Problem(sink.folder.origin, message=message, warning=True))

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
