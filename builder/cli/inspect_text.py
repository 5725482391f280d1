"""What `builder inspect` shows people: facts, layers and configuration of a tag; a list of tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.cli.tables import TAG_HEAD, table, tag_lines
from builder.pages import imageview, plan
from builder.registry.model import Collection, Tag
from builder.theme.filters import filesize

_WIDE = 100  # characters of a value


def collection_text(collection: Collection) -> str:
    """Return a collection as people read it."""
    facts = [
        ("title", collection.title),
        ("about", plan.one_line(collection.keys.get("description"))),
        ("deprecated", plan.one_line(collection.keys.get("deprecated"))),
    ]
    head = [collection.name, *_pairs(facts)]
    tags = table([TAG_HEAD, *tag_lines(collection)]) if collection.tags else "no tag yet"
    return _printable("\n".join([*head, "", tags]))


def tag_text(collection: Collection, tag: Tag) -> str:
    """Return a tag as people read it; secrets are masked as on pages."""
    known = plan.facts(collection)
    manifest = tag.manifest
    platforms = collection.platforms(manifest) if manifest is not None else ()
    aliases = known.aliases.get(plan.digest_of(tag), ())
    facts = [
        ("digest", plan.digest_of(tag)),
        ("type", manifest.media_type if manifest is not None else ""),
        ("kind", plan.tag_kind(collection, tag)),
        ("size", filesize(known.sizes[tag.name]) if tag.name in known.sizes else ""),
        ("platforms", ", ".join(map(str, platforms))),
        ("published", tag.created),
        ("built", tag.built),
        ("same as", ", ".join(name for name in aliases if name != tag.name)),
        ("recipe", f"{tag.recipe.name}, {tag.recipe.state}" if tag.recipe else ""),
        ("yanked", tag.yanked),
        ("", "" if tag.available else "not available here"),
    ]
    lines = [f"{collection.name}:{tag.name}", *_pairs(facts)]
    for item in collection.images(manifest) if manifest is not None else ():
        if item.manifest is not None:
            platform = str(item.platform or "")
            lines += _image(imageview.image_view(collection, item.manifest, known, platform))
    return _printable("\n".join(lines))


def _image(image: imageview.Image) -> Iterator[str]:
    yield ""
    yield f"{image.platform or image.artifact_type}  {image.digest}"
    rows = [
        (f"{layer.number:>4}", filesize(layer.size), layer.digest, _short(_made(layer)))
        for layer in image.layers
    ]
    yield from table(rows).splitlines() if rows else ()
    for title, pairs in (
        ("configuration", image.settings), ("environment", image.env), ("labels", image.labels),
        ("annotations", image.annotations),
    ):  # fmt: skip
        if pairs:
            yield f"  {title}"
            yield from _pairs([(pair.name, _short(pair.value)) for pair in pairs], indent=4)


def _printable(text: str) -> str:
    """Return text that no terminal takes for a command: labels come from strangers."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def _made(layer: imageview.Layer) -> str:
    return layer.title or layer.instruction or layer.media_type


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"


def _pairs(pairs: Sequence[tuple[str, str]], indent: int = 2) -> list[str]:
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{' ' * indent}{name:{width}}  {value}" for name, value in shown]
