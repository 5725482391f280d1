"""Ways in: the one place that maps what a user typed to the source it names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builder.errors import ContentError, UsageError
from builder.oci.layout import MARKER
from builder.transports.archive import open_archive
from builder.transports.base import ImageSource, SourceOptions
from builder.transports.directory import DirectorySource
from builder.transports.docker_archive import MANIFEST, DockerArchiveSource
from builder.transports.files import FileSource, open_chart, open_sif
from builder.transports.oci_layout import open_archived, open_layout
from builder.transports.reference import is_reference, open_reference
from builder.transports.remote import RemoteSource
from builder.transports.saved import SavedSource

__all__ = ["ImageSource", "SourceOptions", "has_scheme", "open_source"]

SCHEMES = ("oci", "oci-archive", "docker-archive", "dir", "docker", "file", "sif", "chart")
# Those that hold one image, so that nothing stands after their path.
_WHOLE: Mapping[str, Callable[[str, SourceOptions], ImageSource]] = {
    "dir": lambda path, _: DirectorySource(path),
    "sif": lambda path, options: open_sif(path, options.annotations),
    "chart": lambda path, options: open_chart(path, options.spool),
}
_BEHIND_AT = re.compile(r"(?P<path>.+)@(?:(?P<digest>sha(?:256|512):[0-9a-f]+)|[0-9]{1,6})")
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*")


def has_scheme(text: str) -> bool:
    """Tell whether what a user typed says by itself that it is a source."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in SCHEMES


def open_source(texts: Sequence[str], options: SourceOptions) -> ImageSource:
    """Return the source that the user named; see `SCHEMES`, or a bare path.

    `texts` are what was typed: one for every scheme but those that take
    several files. Raises UsageError for a scheme nothing here can read,
    ContentError naming the path as typed when nothing is there or it is of no
    known type.
    """
    text = texts[0]
    scheme, colon, rest = text.partition(":")
    if scheme == "file" and colon:
        paths = [other.removeprefix("file:") for other in texts]
        return FileSource(
            paths, options.spool, options.artifact_type, annotations=options.annotations
        )
    if len(texts) > 1:
        raise UsageError(f"{texts[1]}: one source at a time", "write SOURCE NAME:TAG")
    if is_reference(text):
        return open_reference(text, options)
    if options.artifact_type:
        raise UsageError("--artifact-type is for file: alone")
    if scheme == "docker" and colon:
        return RemoteSource.parse(rest, options.remote)
    if scheme in SCHEMES and colon:
        return _open(scheme, rest, options)
    path, reference = _split(text)
    if colon and _SCHEME.fullmatch(scheme) and not os.path.lexists(path):
        known = ", ".join((*(f"{name}:" for name in SCHEMES), "https:", "s3:", "gs:", "az:"))
        hint = f"use {known} or a path; an image in a registry is docker://HOST/NAME:TAG"
        raise UsageError(f"{text}: cannot read from {scheme!r}", hint)
    if not os.path.exists(path):
        hint = "write a path that exists; an image in a registry is docker://HOST/NAME:TAG"
        raise ContentError.at(path, "does not exist", hint)
    return _recognised(path, reference, options.spool)


def _split(text: str) -> tuple[str, str]:
    """Split `PATH[:REF]`, at the first colon that has an existing path before it.

    A digest may also stand behind an `@`, as in names, and so may a number.
    """
    if os.path.lexists(text):
        return text, ""
    if (found := _BEHIND_AT.fullmatch(text)) and os.path.lexists(path := found["path"]):
        return path, found["digest"] or text.removeprefix(path)
    for found in re.finditer(":", text):
        if os.path.lexists(text[: found.start()]):
            return text[: found.start()], text[found.end() :]
    path, _, reference = text.partition(":")
    return path, reference


def _open(scheme: str, rest: str, options: SourceOptions) -> ImageSource:
    path, reference = (rest, "") if scheme in _WHOLE else _split(rest)
    if not path:
        raise UsageError(f"{scheme}: names no path", f"write {scheme}:PATH")
    if not os.path.exists(path):
        raise ContentError.at(path, "does not exist")
    if scheme == "oci":
        return open_layout(path, reference)
    if scheme in _WHOLE:
        return _WHOLE[scheme](path, options)
    archive = open_archive(path, options.spool)
    if scheme == "oci-archive":
        return open_archived(archive, reference)
    return DockerArchiveSource(archive, options.spool, reference)


def _recognised(path: str, reference: str, spool: Path) -> ImageSource:
    if os.path.isdir(path):
        return open_layout(path, reference)
    try:
        archive = open_archive(path, spool)
    except ContentError as error:
        hint = "an image layout's folder, an OCI archive or a Docker archive is read here"
        problems = error.problems
        message = f"is of no type known here: {problems[0].message}"
        raise ContentError.at(path, message, problems[0].hint or hint) from None
    older = DockerArchiveSource(archive, spool, reference) if MANIFEST in archive else None
    if MARKER in archive:
        layout = open_archived(archive, reference)
        return SavedSource(layout, older, reference) if older else layout
    if older:
        return older
    archive.close()
    message = f"is of no type known here: the tar holds neither {MARKER} nor {MANIFEST}"
    raise ContentError.at(path, message)
