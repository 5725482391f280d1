"""`file:PATH[:TYPE]`, `sif:PATH` and `chart:PATH`: files that are no container images.

Sources: ORAS' conventions for titles and packed folders; SIF's header
(sylabs/sif, `global header`); Helm's HIPs 6 and the media types it registered.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder.errors import ContentError, UsageError
from builder.frontmatter import decode, load_yaml
from builder.layers.pack import list_folder, pack
from builder.oci import mediatype
from builder.oci.descriptor import TITLE, Descriptor
from builder.oci.reference import tag_fault
from builder.storage.local import open_regular
from builder.transports.archive import open_archive
from builder.transports.artifact import Artifact, ArtifactSource, Piece, read_piece

UNPACK = "io.deis.oras.content.unpack"
_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]*/[A-Za-z0-9][\w!#$&^.+-]*")
_MAX_CHART_YAML = 1 << 20


def media_type_of(name: str) -> str:
    """Return the type of a layer that is this file; none that would run in a browser."""
    found = mediatype.of_file(name)
    return found if mediatype.is_valid(found) else mediatype.OCTET_STREAM


class FileSource(ArtifactSource):
    """Any files and folders as an artifact, one layer each."""

    def __init__(
        self,
        texts: Sequence[str],
        spool: Path,
        artifact_type: str,
        subject: Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        spool.mkdir(parents=True, exist_ok=True)
        self._spool = tempfile.TemporaryDirectory(prefix="files-", dir=spool)
        try:
            pieces = [self._piece(text, number) for number, text in enumerate(texts)]
            _refuse_twice(pieces)
            artifact = Artifact(
                pieces,
                artifact_type or mediatype.UNKNOWN_ARTIFACT,
                annotations=annotations or {},
                subject=subject,
            )
            super().__init__(artifact, pieces[0].label)
        except BaseException:
            self._spool.cleanup()
            raise

    def _piece(self, text: str, number: int) -> Piece:
        path, media_type = _split(text)
        title = _title(path)
        if not os.path.isdir(path) or os.path.islink(path):
            kind = media_type or media_type_of(title)
            return read_piece(Path(path), path, kind, {TITLE: title})
        items, _ = list_folder(Path(path), path)
        packed_path = Path(self._spool.name, f"{number}.tar.gz")
        with packed_path.open("wb") as out:
            packed = pack(Path(path), items, out, path, prefix=f"{title}/")
        annotations = {TITLE: title, UNPACK: "true"}
        kind = media_type or mediatype.OCI_LAYER_GZIP
        return Piece(Descriptor(kind, packed.digest, packed.size, annotations), packed_path, path)

    def __exit__(self, *_: object) -> None:
        """Forget what was packed."""
        self._spool.cleanup()


def _split(text: str) -> tuple[str, str]:
    """Return path and media type of `PATH[:TYPE]`."""
    path, _, media_type = text.rpartition(":")
    if not os.path.lexists(text) and path and _TYPE.fullmatch(media_type):
        if not mediatype.is_valid(media_type):
            raise UsageError(f"{text}: {media_type} may not be published")
        return path, media_type
    if not text:
        raise UsageError("file: names no path", "write file:PATH")
    return text, ""


def _title(path: str) -> str:
    """Return a file's title: its relative path as typed, or else its name alone."""
    plain = os.path.normpath(path).replace(os.sep, "/")
    if plain.startswith(("/", "..")):
        plain = plain.rpartition("/")[2]
    if plain in ("", ".", ".."):
        plain = Path(path).resolve().name
    if not plain.isprintable():
        raise ContentError.at(path, "its name has characters that are not portable", "rename it")
    return plain


def _refuse_twice(pieces: Sequence[Piece]) -> None:
    seen: dict[str, str] = {}
    for piece in pieces:
        title = piece.descriptor.title
        if title.lower() in seen:
            message = f"would have the same name as {seen[title.lower()]}: {title}"
            raise ContentError.at(piece.label, message, "rename one")
        seen[title.lower()] = piece.label


def open_sif(path: str, annotations: Mapping[str, str] | None = None) -> ArtifactSource:
    """Return the source for a SIF; raises ContentError for what is none.

    `annotations` are those of the manifest.
    """
    piece = read_piece(Path(path), path, mediatype.SIF_LAYER, {TITLE: Path(path).name})
    with open_regular(Path(path), path) as stream:
        head = stream.read(64)
    if head[32:41] != b"SIF_MAGIC":
        hint = "make one with 'apptainer build', or use file:PATH for other files"
        raise ContentError.at(path, "is not a SIF", hint)
    artifact = Artifact([piece], "", (mediatype.SIF_CONFIG, b"{}"), annotations or {})
    return ArtifactSource(artifact, path)


def open_chart(path: str, spool: Path) -> ArtifactSource:
    """Return the source for a packaged Helm chart; its version is the tag it suggests.

    Raises ContentError for an archive without a sound Chart.yaml.
    """
    facts = _chart_facts(path, spool)
    name, version = facts["name"], facts["version"]
    tag = version.replace("+", "_")
    if fault := tag_fault(tag):
        raise ContentError.at(path, f"its version cannot be a tag: {fault}")
    pieces = [read_piece(Path(path), path, mediatype.HELM_CHART, {})]
    provenance = f"{path}.prov"
    if os.path.lexists(provenance):
        pieces.append(read_piece(Path(provenance), provenance, mediatype.HELM_PROVENANCE, {}))
    config = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    annotations = {TITLE: name, **dict(_chart_annotations(facts))}
    chart = Artifact(pieces, "", (mediatype.HELM_CONFIG, config), annotations)
    return ArtifactSource(chart, path, tag)


def _chart_annotations(facts: dict[str, str]) -> Iterator[tuple[str, str]]:
    keys = {"version": "version", "description": "description", "home": "url"}
    for key, annotation in keys.items():
        if facts.get(key):
            yield f"org.opencontainers.image.{annotation}", str(facts[key])


def _chart_facts(path: str, spool: Path) -> dict[str, str]:
    """Return Chart.yaml of the one folder in the archive."""
    archive = open_archive(path, spool)
    try:
        tops = sorted({name.partition("/")[0] for name in archive.names()})
        found = [top for top in tops if f"{top}/Chart.yaml" in archive]
        if len(found) != 1:
            hint = "package it with 'helm package'"
            raise ContentError.at(path, "holds no chart: NAME/Chart.yaml is missing", hint)
        label = f"{path}: {found[0]}/Chart.yaml"
        raw = archive.read(f"{found[0]}/Chart.yaml", _MAX_CHART_YAML)
    finally:
        archive.close()
    facts = load_yaml(decode(raw, label), label).value
    if not isinstance(facts, dict):
        raise ContentError.at(label, "must be a mapping")
    for key in ("name", "version"):
        if not isinstance(facts.get(key), str | int) or not str(facts[key]):
            raise ContentError.at(label, f"has no {key}")
        facts[key] = str(facts[key])
    return facts
