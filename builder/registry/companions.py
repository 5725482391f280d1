"""What is published beside tags for hosts that give every file the same media type.

Clients that guess find a single image under a tag of its platform; those that
take an untyped manifest for Docker schema 1 find one; those that cannot pull
at all find an archive. None of it replaces a tag that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from builder.errors import Problem
from builder.layers.docker_archive import docker_archive
from builder.layers.tarstream import tar_size
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform, choose
from builder.oci.reference import tag_fault
from builder.oci.schema1 import schema1_fault, schema1_payload
from builder.registry.model import Archive, Collection, Companion, CompanionOptions, Tag

_PACKED = ("", "gzip")  # what all that load archives can unpack


def with_companions(
    collection: Collection,
    options: CompanionOptions,
    read: Callable[[Descriptor], bytes],
    problem: Callable[[Problem], None],
) -> Collection:
    """Return the collection with the companions and archives of its tags.

    `read` gives small content. A tag that cannot have what was asked for is a
    warning, a name that is already a tag's a problem.
    """
    if not options.any:
        return collection
    maker = _Maker(collection, options, read, problem)
    tags = [tag for tag in collection.tags if tag.in_v2]
    companions = {tag.name: made for tag in tags if (made := tuple(maker.companions(tag)))}
    archives = {tag.name: packed for tag in tags if (packed := tuple(maker.archives(tag)))}
    return replace(collection, companions=companions, archives=archives)


def platform_suffix(platform: Platform) -> str:
    """Return `-arm64` for linux/arm64 (and its only variant), `-arm-v7`, `-windows-amd64`."""
    parts = [part for part in platform.short.split("/") if part != "linux"]
    return "".join(f"-{part}" for part in parts)


@dataclass(slots=True)
class _Maker:
    """Makes what stands beside each tag of one collection; `taken` maps names to their owners."""

    collection: Collection
    options: CompanionOptions
    read: Callable[[Descriptor], bytes]
    problem: Callable[[Problem], None]
    taken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Names that differ by case alone are one file on some disks and hosts.
        self.taken = {tag.name.lower(): tag.origin for tag in self.collection.tags}

    def companions(self, tag: Tag) -> Iterator[Companion]:
        """Yield the companions of one tag."""
        singles = dict(self._singles(tag))
        if self.options.platform_tags:
            yield from (Companion(name, image, on) for name, (image, on) in singles.items())
        if not self.options.schema1:
            return
        platform, main = self._main(tag)
        if main is None:
            return
        if fault := self._fault(main):
            self._warn(tag, f"has no schema 1 companion: {fault}", "pack its layers with gzip")
        else:
            yield from self._schema1(tag, tag.name, main, platform)
        if self.options.platform_tags:
            for name, (image, on) in singles.items():
                if image is not main and not self._fault(image):
                    yield from self._schema1(tag, name, image, on)

    def _singles(self, tag: Tag) -> Iterator[tuple[str, tuple[Manifest, str]]]:
        """Yield a name for each platform of an index that no tag has yet."""
        for platform, image in self._images(tag):
            if platform is None:
                continue
            name = f"{tag.name}{platform_suffix(platform)}"
            if name.lower() not in self.taken and not tag_fault(name):
                self.taken[name.lower()] = tag.origin
                yield name, (image, str(platform))

    def _images(self, tag: Tag) -> Iterator[tuple[Platform | None, Manifest]]:
        """Yield the images of an index with their platforms, or the tag's only one."""
        manifest = tag.manifest
        if manifest is None:
            return
        if not manifest.is_index:
            yield None, manifest
            return
        for item in self.collection.images(manifest):
            if item.manifest is not None and item.platform is not None:
                yield item.platform, item.manifest

    def _main(self, tag: Tag) -> tuple[str, Manifest | None]:
        """Return the image that a companion of the tag itself holds, or warn that there is none."""
        images = [(on, image) for on, image in self._images(tag) if image.is_container]
        if not images:
            return "", None
        wanted = self.options.platform
        chosen = choose(((on or wanted, (on, image)) for on, image in images), wanted)
        for platform, image in chosen:
            return str(platform or ""), image
        there = ", ".join(str(platform) for platform, _ in images)
        hint = f"its platforms are {there}: name one in registry.schema1.platform"
        self._warn(tag, f"has no schema 1 companion: it has no image for {wanted}", hint)
        return "", None

    def _fault(self, image: Manifest) -> str:
        if not image.is_container:
            return "it is not a container image"
        if not self.options.redirects and (layer := self._elsewhere(image)):
            return (
                f"{layer.digest} is stored elsewhere, and this host cannot redirect clients there"
            )
        return schema1_fault(image)

    def _elsewhere(self, image: Manifest) -> Descriptor | None:
        places = self.collection.blobs
        return next((item for item in image.layers if places[item.digest].file is None), None)

    def _schema1(self, tag: Tag, name: str, image: Manifest, platform: str) -> Iterator[Companion]:
        mine = f"{name}{self.options.schema1}"
        if owner := self.taken.get(mine.lower()):
            message = f"the schema 1 companion of {tag.origin} would also be called {mine!r}"
            hint = "rename the tag, or set another suffix in registry.schema1"
            self.problem(Problem(owner, message=message, hint=hint))
        elif fault := tag_fault(mine):
            self._warn(tag, f"has no schema 1 companion: {fault}", "choose a shorter tag or suffix")
        elif image.config is not None:
            self.taken[mine.lower()] = tag.origin
            config = self.read(image.config)
            payload = schema1_payload(self.collection.name, mine, image, config)
            yield Companion(mine, image, platform, payload)

    def archives(self, tag: Tag) -> Iterator[Archive]:
        """Yield an archive for each image of one tag."""
        if not self.options.archives:
            return
        host, name = self.options.host, self.collection.name
        stem = f"{name}/tags/{tag.name}/{name.rpartition('/')[2]}_{tag.name}"
        reference = f"{host}/{name}:{tag.name}" if host else f"{name}:{tag.name}"
        seen = set()
        for platform, image in self._images(tag):
            suffix = platform_suffix(platform) if platform is not None else ""
            if suffix not in seen and image.is_container:
                seen.add(suffix)
                on = str(platform) if platform is not None else ""
                yield from self._archive(tag, image, f"{stem}{suffix}.tar", on, reference)

    def _archive(
        self, tag: Tag, image: Manifest, path: str, platform: str, reference: str
    ) -> Iterator[Archive]:
        lacking = f"has no archive{f' for {platform}' if platform else ''}"
        layers = []
        for layer in image.layers:
            file = self.collection.blobs[layer.digest].file
            if file is None:
                hint = "copy the layer into _blobs/ to get one"
                self._warn(tag, f"{lacking}: {layer.digest} is stored elsewhere", hint)
                return
            if mediatype.compression(layer.media_type) not in _PACKED:
                hint = "pack its layers with gzip"
                self._warn(tag, f"{lacking}: {layer.digest} is {layer.media_type}", hint)
                return
            layers.append((layer.digest, file, layer.size))
        if image.config is None:
            return
        parts = docker_archive(self.read(image.config), layers, reference)
        size = tar_size(parts)
        if self.options.max_file and size > self.options.max_file:
            text = f"{lacking}: its {size:,} bytes exceed the {self.options.max_file:,}"
            self._warn(tag, f"{text} that this host accepts in one file", "")
            return
        yield Archive(path, parts, size, platform)

    def _warn(self, tag: Tag, message: str, hint: str) -> None:
        self.problem(Problem(tag.origin, message=message, hint=hint, warning=True))
