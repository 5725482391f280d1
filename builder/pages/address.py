"""One tag with its addresses worked out, and who can get it there: what commands are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from builder import clients
from builder.oci import mediatype
from builder.oci.manifest import Manifest
from builder.pages import plan
from builder.pages.model import PageOptions
from builder.registry.model import Collection, Companion, Tag
from builder.remote.address import is_loopback

PLACEHOLDER = "REGISTRY"
PROXY = "localhost:5000"  # where `builder proxy` listens unless it is told otherwise


@dataclass(frozen=True, slots=True)
class Command:
    """A line to paste, and what it does differently from the other lines of its client."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """A program and the commands that get a tag with it."""

    key: str
    title: str
    commands: tuple[Command, ...]
    note: str = ""


@dataclass(frozen=True)
class TagAddress:
    """One tag with its addresses worked out."""

    options: PageOptions
    collection: Collection
    tag: Tag
    host: str

    @cached_property
    def kind(self) -> str:
        """What the tag holds, one of `plan.KINDS`."""
        return plan.tag_kind(self.collection, self.tag)

    @property
    def short(self) -> str:
        """The last part of the collection's name."""
        return self.collection.name.rpartition("/")[2]

    @property
    def is_multi(self) -> bool:
        """Whether the tag is an index of several images."""
        return self.tag.manifest is not None and self.tag.manifest.is_index

    def named(self, tag: str) -> str:
        """Return the reference of another tag of the same collection."""
        return f"{self.host}/{self.collection.name}:{tag}"

    def hashed(self, digest: str) -> str:
        """Return the reference of anything else in the same collection."""
        return f"{self.host}/{self.collection.name}@{digest}"

    @cached_property
    def by_tag(self) -> str:
        """The reference by name."""
        return self.named(self.tag.name)

    @cached_property
    def by_digest(self) -> str:
        """The reference by digest; empty for a tag without a manifest."""
        return self.hashed(self.tag.manifest.digest) if self.tag.manifest is not None else ""

    @cached_property
    def obstacles(self) -> tuple[clients.Obstacle, ...]:
        """What keeps some clients from this tag on this host."""
        if self.tag.manifest is None:
            return ()
        return tuple(clients.obstacles(self.served(self.tag.manifest)))

    @cached_property
    def blocked(self) -> frozenset[str]:
        """The families of clients that do not get this tag."""
        return clients.blocked(self.obstacles)

    def reaches(self, family: str, kind: str = "") -> bool:
        """Tell whether a family of `builder.clients` gets this tag, or a `kind` in its place."""
        if kind and self.tag.manifest is not None:
            served = replace(self.served(self.tag.manifest), kind=kind)
            return family not in clients.blocked(clients.obstacles(served))
        return family not in self.blocked

    def served(self, manifest: Manifest) -> clients.Served:
        """Return how this host serves one of the tag's manifests."""
        options = self.options
        layers = [blob for image in self._closure(manifest) for blob in image.blobs]
        redirects = options.capabilities.redirects
        schema1 = next((item.name for item in self.companions if item.schema1), "")
        return clients.Served(
            clients.kind_of(manifest),
            manifest.media_type,
            (manifest.media_type if options.typed else mediatype.OCTET_STREAM,),
            site=self.site,
            host=options.capabilities.title,
            schema1=schema1 and f"{self.collection.name}:{schema1}",
            below="" if options.by_name else options.baseurl,
            plain_http=options.insecure and not is_loopback(self.host.partition(":")[0]),
            elsewhere=not redirects and any(self._is_elsewhere(blob.digest) for blob in layers),
            zstd=any(blob.media_type.endswith("+zstd") for blob in layers),
        )

    def _closure(self, manifest: Manifest) -> list[Manifest]:
        """Return a manifest and all those below it that are known here."""
        found = {manifest.digest: manifest}
        stack = [manifest]
        while stack:
            for child in stack.pop().manifests:
                below = self.collection.manifests.get(child.digest)
                if below is not None and below.digest not in found:
                    found[below.digest] = below
                    stack.append(below)
        return list(found.values())

    def _is_elsewhere(self, digest: str) -> bool:
        place = self.collection.blobs.get(digest)
        return place is not None and place.file is None

    @property
    def companions(self) -> tuple[Companion, ...]:
        """The tags that are published for this one, for clients that need it plainer."""
        return self.collection.companions.get(self.tag.name, ())

    @property
    def site(self) -> str:
        """The address of the site, for `builder proxy`."""
        options = self.options
        base = f"{options.url.rstrip('/')}{options.baseurl.rstrip('/')}" if options.url else ""
        return base or f"https://{PLACEHOLDER}"

    @property
    def api(self) -> str:
        """The address of the collection below `/v2/`."""
        return f"{self.options.api_url or f'https://{PLACEHOLDER}'}/v2/{self.collection.name}"

    def proxied(self) -> TagAddress:
        """Return the tag as `builder proxy` serves it to every client of this machine."""
        able = replace(self.options.capabilities, media_types=True, redirects=True, host_root=True)
        options = replace(self.options, host=PROXY, insecure=True, capabilities=able)
        return replace(self, options=options, host=PROXY)

    def both(self, form: Callable[[str], str]) -> tuple[Command, ...]:
        """Return a command for the tag and one for the digest."""
        found = [Command("by tag", form(self.by_tag))]
        if self.by_digest:
            found.append(Command("by digest", form(self.by_digest)))
        return tuple(found)

    def flag(self, insecure: str) -> str:
        """Return ` FLAG` where the host speaks plain http, else nothing."""
        return f" {insecure}" if self.options.insecure else ""

    def blob_url(self, digest: str) -> str:
        """Return where the bytes of a blob are: here, or where they are stored."""
        place = self.collection.blobs.get(digest)
        if place is not None and place.url and place.file is None:
            return place.url
        return f"{self.api}/blobs/{digest}"
