"""One image as its page shows it: layers, configuration, history.

Everything from a config is text that somebody wrote: it is shown, never
trusted. Values whose name says that they are secret are masked here, so that
neither the page nor its JSON twin repeats them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.layers.compression import PLAIN
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.image import HistoryEntry, ImageConfig
from builder.oci.manifest import Manifest
from builder.oci.secrets import is_secret
from builder.pages import charts
from builder.pages.plan import Facts
from builder.registry.model import Collection, LegacyLayer

MASK = "••••••"
_MAX_TEXT = 2_000  # characters of one label, variable or step that a page still shows
_MAX_STEPS = 500  # of a history
_MAX_READ = 64 << 10  # characters of a text that are looked at
# A value after `NAME=`: in quotes, or up to white space.
_ASSIGNMENT = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)=(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)")
_OLD_ENV = re.compile(
    r"^(?P<start>(?:ENV|ARG)\s+(?P<name>\w+)\s+)(?!=).+$", re.IGNORECASE | re.DOTALL
)
_NOP = re.compile(r"^(?:\|[0-9]+ .*?)?/bin/sh -c #\(nop\)\s+", re.DOTALL)
_SHELL = re.compile(
    r"^(?:RUN )?(?:\|[0-9]+ .*?)?(?:/usr)?/bin/(?:ba|a|da)?sh"
    r"(?: -[eux]*o [a-z]+| -[eux]+)* -[eux]*c ",
    re.DOTALL,
)
_BUILDKIT = "# buildkit"
_BASE_NAME = "org.opencontainers.image.base.name"
_MIN_BASE = 2  # layers that are worth to be folded
_URL = re.compile(r"https?://[^\s\"'<>`\\^{|}]+")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its number from 1, size in bytes, share in percent, and how many others have it.

    `unpacked` is in bytes too, 0 where nobody knows.
    """

    number: int
    digest: str
    size: int
    media_type: str
    share: str = ""
    instruction: str = ""
    title: str = ""
    url: str = ""
    other_tags: int = 0
    missing: bool = False
    foreign: bool = False  # of a type that may not be passed on
    unpacked: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and a value; `url` is set where the value is a link."""

    name: str
    value: str
    url: str = ""
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Base:
    """What an image is built on: its first layers, which more tags share than the next.

    `name` is empty where the image does not say it; `size` is in bytes.
    """

    name: str
    layers: int
    size: int
    other_tags: int


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a tag: the only one, or that of one platform."""

    digest: str
    platform: str
    size: int
    created: str
    author: str
    layers: tuple[Layer, ...]
    tiles: tuple[charts.Tile, ...]
    settings: tuple[Pair, ...]
    env: tuple[Pair, ...]
    labels: tuple[Pair, ...]
    annotations: tuple[Pair, ...]
    dockerfile: str
    artifact_type: str = ""
    base: Base | None = None


def image_view(
    collection: Collection, manifest: Manifest, known: Facts, platform: str = ""
) -> Image:
    """Return what a page shows of one image or artifact."""
    config = collection.configs.get(manifest.digest)
    steps = instructions(config) if config is not None else ()
    made = [text for text, empty in steps if not empty]
    layers = tuple(_layers(collection, manifest.layers, known, made))
    if not platform and config is not None and config.platform.os:
        platform = str(config.platform)
    return Image(
        digest=manifest.digest,
        platform=platform,
        size=sum({item.digest: item.size for item in manifest.blobs}.values()),
        created=config.built if config is not None else "",
        author=config.author if config is not None else "",
        layers=layers,
        tiles=charts.treemap([layer.size for layer in manifest.layers]),
        settings=tuple(_settings(config)) if config is not None else (),
        env=tuple(env_pairs(config.env)) if config is not None else (),
        labels=tuple(pairs(config.labels)) if config is not None else (),
        annotations=tuple(pairs(manifest.annotations)),
        dockerfile="\n".join(text for text, _ in steps[:_MAX_STEPS]),
        artifact_type="" if manifest.is_image else manifest.effective_artifact_type,
        base=_base(layers, manifest.annotations.get(_BASE_NAME, "")),
    )


def _base(layers: Sequence[Layer], name: str) -> Base | None:
    """Return what to fold: two or more first layers, where others follow that fewer tags have."""
    count = 0
    while count < len(layers) and layers[count].other_tags == layers[0].other_tags > 0:
        count += 1
    if count < _MIN_BASE or count == len(layers) or layers[count].other_tags > layers[0].other_tags:
        return None
    size = sum(layer.size for layer in layers[:count])
    return Base(bounded(name), count, size, layers[0].other_tags)


def _layers(
    collection: Collection, layers: Sequence[Descriptor], known: Facts, made: Sequence[str]
) -> Iterator[Layer]:
    """Yield the layers, each with the instruction that made it where the history tells all."""
    total = sum(layer.size for layer in layers)
    told = len(made) == len(layers)
    for number, layer in enumerate(layers, 1):
        yield Layer(
            number,
            layer.digest,
            layer.size,
            layer.media_type,
            share=_share(layer.size, total),
            instruction=made[number - 1] if told else "",
            title=layer.title,
            other_tags=max(0, known.layer_tags.get(layer.digest, 0) - 1),
            missing=layer.digest not in collection.blobs,
            foreign=mediatype.is_foreign_layer(layer.media_type),
            unpacked=_unpacked(collection, layer),
        )


def _unpacked(collection: Collection, layer: Descriptor) -> int:
    """Return the size of a compressed layer's tar, where its listing tells; else 0."""
    listing = collection.listings.get(layer.digest)
    if listing is None or listing.facts.cut or listing.facts.compression == PLAIN:
        return 0
    return listing.facts.unpacked


def _share(size: int, total: int) -> str:
    """Return a part of a whole as `42 %`, or nothing of a whole that is empty."""
    return f"{size * 100 / total:.0f} %" if total else ""


def legacy_layers(layers: Sequence[LegacyLayer]) -> tuple[Layer, ...]:
    """Return the layers of an original manifest, each with its own URL."""
    total = sum(layer.size for layer in layers)
    return tuple(
        Layer(
            number,
            layer.digest,
            layer.size,
            layer.media_type,
            share=_share(layer.size, total),
            url=layer.url if _URL.fullmatch(layer.url) else "",
        )
        for number, layer in enumerate(layers, 1)
    )


def _settings(config: ImageConfig) -> Iterator[Pair]:
    facts = (
        ("Entrypoint", shell_words(config.entrypoint)),
        ("Command", shell_words(config.command)),
        ("Working directory", config.working_dir),
        ("User", config.user),
        ("Ports", ", ".join(config.ports)),
        ("Volumes", ", ".join(config.volumes)),
        ("Stop signal", config.stop_signal),
    )
    for name, value in facts:
        if value:
            yield Pair(name, bounded(mask_text(value)))


def shell_words(arguments: Sequence[str]) -> str:
    """Return arguments as one line that a shell would split the same way."""
    return shlex.join(arguments)


def bounded(text: str) -> str:
    """Return `text`, or its beginning with how long it is."""
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_MAX_TEXT]}… ({len(text):,} characters)"


def env_pairs(env: Sequence[str]) -> Iterator[Pair]:
    """Yield the variables of `NAME=value` lines, secrets masked."""
    for line in env:
        name, _, value = line.partition("=")
        secret = is_secret(name) and value != ""
        yield Pair(name, MASK if secret else bounded(value), masked=secret)


def pairs(values: Mapping[str, str]) -> Iterator[Pair]:
    """Yield labels or annotations by name; a value that is a web address is a link."""
    for name in sorted(values):
        value = values[name]
        secret = is_secret(name.rpartition(".")[2]) and value != ""
        url = value if not secret and len(value) <= _MAX_TEXT and _URL.fullmatch(value) else ""
        yield Pair(bounded(name), MASK if secret else bounded(value), url, masked=secret)


def mask_text(text: str) -> str:
    """Return `text` with the values of secret-looking `NAME=value` parts masked."""
    text = text[:_MAX_READ]
    old = _OLD_ENV.match(text)
    if old is not None and is_secret(old["name"]):
        return f"{old['start']}{MASK}"
    return _ASSIGNMENT.sub(_masked, text) if "=" in text else text


def _masked(match: re.Match[str]) -> str:
    return f"{match['name']}={MASK}" if is_secret(match["name"]) else match[0]


def instructions(config: ImageConfig) -> tuple[tuple[str, bool], ...]:
    """Return an image's history as Dockerfile instructions, and whether each made no layer."""
    return tuple((bounded(instruction(entry)), entry.empty) for entry in config.history)


def instruction(entry: HistoryEntry) -> str:
    """Return one step of a history the way a Dockerfile would say it.

    Builders record `/bin/sh -c #(nop) CMD ["x"]` and `RUN /bin/sh -c x # buildkit`.
    """
    text = mask_text(entry.created_by.strip().removesuffix(_BUILDKIT).rstrip())
    if not text:
        return (
            f"# {' '.join(entry.comment.split())}" if entry.comment else "# a step without a record"
        )
    if match := _NOP.match(text):
        return text[match.end() :].strip()
    if match := _SHELL.match(text):
        return f"RUN {text[match.end() :].strip()}"
    if _is_instruction(text):
        return text
    comment = f" ({' '.join(entry.comment.split())})" if entry.comment else ""
    return f"# {' '.join(text.split())}{comment}"


_INSTRUCTIONS = frozenset(
    {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
        "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    }
)  # fmt: skip


def _is_instruction(text: str) -> bool:
    return text.partition(" ")[0] in _INSTRUCTIONS
