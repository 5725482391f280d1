"""Manifests from clients: put under tags or digests, and deleted.

A tag comes into the registry as `builder add` would bring it in. What no tag
leads to waits, because the registry's folder has no place for it.
Source: distribution-spec, "Pushing Manifests", "Deleting Manifests".
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from builder.errors import ContentError
from builder.oci.digest import DIGEST_HEADER, Digest
from builder.oci.manifest import Manifest
from builder.oci.reference import Reference, tag_fault
from builder.oci.validate import ManifestError, parse_manifest
from builder.preview.respond import Response
from builder.receive.answers import Refused, done
from builder.receive.repository import Repository
from builder.receive.shown import Fresh, Journal, fresh_blob, fresh_manifest
from builder.receive.spool import Spool
from builder.registry.clock import now
from builder.registry.edit import remove_manifest, remove_tag
from builder.registry.model import RegistryOptions
from builder.registry.stage import Judge
from builder.transports.intake import Added, add_image
from builder.transports.registry_sink import Terms


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one repository, as clients write them.

    Call `put` and the deletes with the registry's lock held.
    """

    repository: Repository
    spool: Spool
    journal: Journal
    options: RegistryOptions
    judge: Judge

    @property
    def _name(self) -> str:
        return self.repository.label

    def put(
        self, raw: bytes, media_type: str, digest: Digest | None, tags: Sequence[str]
    ) -> Response:
        """Take a manifest under its digest, and let tags point to it."""
        self.repository.waiting.sweep()
        manifest = _parsed(raw, media_type)
        digest = digest or manifest.digest
        if not digest.matches(raw):
            found = Digest.of(raw, digest.algorithm)
            raise Refused(400, "DIGEST_INVALID", f"the bytes have the digest {found}")
        manifest = replace(manifest, digest=digest)
        self._require_content(manifest)
        self._refuse_immutable(tags, raw)
        comes_in = tags or self._is_about_something_here(manifest)
        if not comes_in or digest.algorithm != "sha256":  # a tag is known by that one
            self.spool.add_manifest(self._name, digest, io.BytesIO(raw))
        if comes_in:
            self._bring_in(manifest, tags)
        return done(201, *self._headers(manifest, tags))

    def delete_tag(self, tag: str) -> Response:
        """Remove a tag; what it pointed to stays to be had by digest for a while."""
        folder = self.repository.folder
        if tag not in folder.tags():
            raise Refused(404, "MANIFEST_UNKNOWN", f"{self._name} has no tag {tag[:128]!r}")
        self._refuse_immutable([tag], None)
        raw = folder.raw_manifest(tag)
        if raw is not None:
            self.spool.add_manifest(self._name, Digest.of(raw), io.BytesIO(raw))
        remove_tag(self.options, self._name, tag)
        self.journal.note_gone(self._name, [self._path(tag)])
        if raw is not None:
            self.journal.note(self._name, self._served(_parsed(raw, "")))
        return done(202)

    def delete(self, digest: Digest) -> Response:
        """Remove a manifest, every tag that points to it, and what refers to it."""
        folder = self.repository.folder
        here = self._digest_here(digest)
        waiting = self.repository.waiting
        gone: list[str] = []
        if here is not None:
            tags = [tag for tag, item in folder.manifests() if item.digest == here]
            self._refuse_immutable(tags, None)
            gone = [here, *folder.referrers(here), *self._remove(here)]
        if not waiting.manifests.size(digest) and here is None:
            raise Refused(404, "MANIFEST_UNKNOWN", f"{digest} is not in {self._name}")
        for item in (digest, *gone):
            if ":" in item:
                waiting.manifests.delete(item)
        paths = [self._path(item) for item in (digest, *gone)]
        paths += [path.replace("/manifests/", "/blobs/") for path in paths if ":" in path]
        self.journal.note_gone(self._name, paths)
        return done(202)

    def _remove(self, digest: Digest) -> tuple[str, ...]:
        try:
            return remove_manifest(self.options, self._name, digest)
        except ContentError as error:
            raise Refused(405, "DENIED", error.what) from None

    def _digest_here(self, digest: Digest) -> Digest | None:
        """Return the digest by which the collection knows a manifest, if it has it."""
        for _, manifest in self.repository.folder.manifests():
            if digest.matches(manifest.raw):
                return manifest.digest
        return digest if self.repository.folder.holds_manifest(digest) else None

    def _require_content(self, manifest: Manifest) -> None:
        """Raise Refused with all that a manifest names and nobody has sent."""
        lacking = [child.digest for child in manifest.children() if self.repository.lacks(child)]
        if lacking:
            shown = ", ".join(dict.fromkeys(lacking[:20]))
            raise Refused(404, "MANIFEST_BLOB_UNKNOWN", f"push these first: {shown}")

    def _refuse_immutable(self, tags: Iterable[str], raw: bytes | None) -> None:
        """Raise Refused where a tag may not become `raw`, or go if that is None."""
        folder = self.repository.folder
        for tag in tags:
            before = folder.raw_manifest(tag)
            if before is None or before == raw:
                continue
            try:
                folder.refuse_immutable(tag, change="point to another image" if raw else "go")
            except ContentError as error:
                raise Refused(403, "DENIED", error.what) from None

    def _is_about_something_here(self, manifest: Manifest) -> bool:
        subject = manifest.subject
        return subject is not None and self._digest_here(subject.digest) is not None

    def _bring_in(self, manifest: Manifest, tags: Sequence[str]) -> None:
        top = manifest.bare
        self.repository.offered = manifest
        terms = Terms(created=now(), judge=self.judge, allow_foreign=True)
        for tag in tags or ("",):
            before = self.repository.folder.raw_manifest(tag) if tag else None
            if before is not None and before != manifest.raw:  # it stays to be had by its digest
                self.spool.add_manifest(self._name, Digest.of(before), io.BytesIO(before))
            reference = Reference(self._name, tag)
            added = add_image(self.options, self.repository, top, reference, terms, referrers=True)
            self._show(manifest, tag, added)
            self._forget(added)

    def _show(self, manifest: Manifest, tag: str, added: Added) -> None:
        """Let clients have at once what a build will show."""
        changes: list[Fresh] = []
        if tag:
            changes.append(fresh_manifest(self._path(tag), manifest))
        for digest in added.manifests:
            is_this = digest == manifest.digest
            found = manifest if is_this else self.repository.waiting_manifest(digest)
            if found is not None:
                changes += self._served(found)
        for part in added.parts:
            digest = part.descriptor.digest
            path = f"v2/{self._name}/blobs/{digest}"
            if part.place == "store" and (blob := fresh_blob(path, digest, self.repository.store)):
                changes.append(blob)
        self.journal.note(self._name, changes)

    def _served(self, manifest: Manifest) -> list[Fresh]:
        blob = f"v2/{self._name}/blobs/{manifest.digest}"
        return [
            fresh_manifest(self._path(manifest.digest), manifest),
            fresh_manifest(blob, manifest, as_blob=True),
        ]

    def _forget(self, added: Added) -> None:
        """Let go of what is in the registry's folder now."""
        waiting = self.repository.waiting
        for digest in (*added.manifests, *(part.descriptor.digest for part in added.parts)):
            if digest.algorithm == "sha256" or digest not in added.manifests:
                waiting.drop(digest)

    def _path(self, reference: str) -> str:
        return f"v2/{self._name}/manifests/{reference}"

    def _headers(self, manifest: Manifest, tags: Sequence[str]) -> list[tuple[str, str]]:
        headers = [("Location", f"/{self._path(manifest.digest)}"),
                   (DIGEST_HEADER, str(manifest.digest))]  # fmt: skip
        if manifest.subject is not None:
            headers.append(("OCI-Subject", str(manifest.subject.digest)))
        if tags:
            headers.append(("OCI-Tag", ", ".join(tags)))
        return headers


def _parsed(raw: bytes, media_type: str) -> Manifest:
    """Return what was pushed; raises Refused, also where it would be read as something else."""
    try:
        manifest = parse_manifest(raw, media_type, allow_foreign=True)
        if parse_manifest(raw, allow_foreign=True).media_type != manifest.media_type:
            message = f"mediaType is missing, and only Content-Type says {media_type}"
            raise Refused(400, "MANIFEST_INVALID", message)
    except ManifestError as error:
        raise Refused(400, "MANIFEST_INVALID", str(error)) from None
    return manifest


def check_tag(tag: str) -> str:
    """Return a tag; raises Refused for one that cannot be."""
    if fault := tag_fault(tag):
        raise Refused(400, "MANIFEST_INVALID", fault)
    return tag
