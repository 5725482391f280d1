"""The seam for ways in: a place that images are read from.

A source knows nothing of the registry that reads it, and what it yields is
not verified: whoever keeps content checks size and digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.remote.options import RemoteOptions
from builder.storage.parallel import Progress, silent

# Given the bytes to come, None where nobody knows, opens what is told of each chunk.


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What else a source is told beside its name.

    `spool` is a folder for what must be decompressed or converted; nothing
    stays in it. `artifact_type` is for sources that make an artifact of files,
    `annotations` for the manifests of `file:` and `sif:`. `addresses` are where
    clients get what is in a bucket, by the bucket's URL; `progress` is told
    what is read of a file that stays where it is.
    """

    spool: Path
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = silent


class Entered:
    """A context manager over what is not open; who holds something open says how it ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Keep nothing open."""


class ImageSource(Protocol):
    """Images in some medium; a context manager, because files may stay open meanwhile.

    Every method raises ContentError for a medium that is not what it claims
    to be, RemoteError for one far away that cannot be read.
    """

    @property
    def label(self) -> str:
        """What the user typed for the medium, as messages name it."""

    @property
    def streams(self) -> int:
        """How many pieces of content may be read at once."""

    @property
    def suggested_tag(self) -> str:
        """The tag that what is here would take by itself; empty where it has none."""

    def names(self) -> tuple[str, ...]:
        """Return the names that images have here, in byte order; `@N` is one that has none."""

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image of that name or digest; empty takes what the user typed.

        Raises ContentError when there is none, or more than one.
        """

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return the manifests here whose subject is `digest`, in byte order of their digests."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content; raises FileNotFoundError when the medium does not hold it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...
