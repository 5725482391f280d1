"""What changed between a tag and the version before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.oci.image import ImageConfig
from builder.oci.manifest import Manifest
from builder.oci.secrets import is_secret
from builder.pages import imageview, plan
from builder.pages.fileview import FileChanges, file_changes
from builder.registry.model import Collection, Tag


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a comparison: `kind` is `added`, `removed` or `changed`."""

    kind: str
    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A tag compared with the version before it; sizes in bytes, `grown` may be negative."""

    previous: str
    grown: int
    kept_layers: int
    new_layers: int
    new_bytes: int
    dropped_layers: int
    changes: tuple[Change, ...]
    files: FileChanges | None = None


def difference(collection: Collection, tag: Tag, known: plan.Facts) -> Difference | None:
    """Return what changed since the version before `tag`; None where there is none."""
    before = collection.tag(known.previous.get(tag.name, ""))
    if before is None or before.manifest is None or tag.manifest is None:
        return None
    old = plan.main_image(collection, before.manifest)
    new = plan.main_image(collection, tag.manifest)
    old_layers = {layer.digest: layer.size for layer in old.layers}
    new_layers = {layer.digest: layer.size for layer in new.layers}
    added = new_layers.keys() - old_layers.keys()
    return Difference(
        before.name,
        known.sizes.get(tag.name, 0) - known.sizes.get(before.name, 0),
        len(new_layers.keys() & old_layers.keys()),
        len(added),
        sum(new_layers[digest] for digest in added),
        len(old_layers.keys() - new_layers.keys()),
        tuple(_config_changes(collection, old, new)),
        file_changes(collection, old, new),
    )


def _config_changes(collection: Collection, old: Manifest, new: Manifest) -> Iterator[Change]:
    before, after = collection.configs.get(old.digest), collection.configs.get(new.digest)
    if before is None or after is None:
        return
    yield from _changes("", _settings(before), _settings(after))
    yield from _changes("env ", _env(before), _env(after))
    yield from _changes("label ", before.labels, after.labels)


def _settings(config: ImageConfig) -> dict[str, str]:
    return {
        "entrypoint": imageview.shell_words(config.entrypoint),
        "command": imageview.shell_words(config.command),
        "user": config.user,
        "working directory": config.working_dir,
        "ports": ", ".join(config.ports),
        "volumes": ", ".join(config.volumes),
    }


def _env(config: ImageConfig) -> dict[str, str]:
    pairs = (line.partition("=") for line in config.env)
    return {name: value for name, _, value in pairs}


def _changes(prefix: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, ""), new.get(name, "")
        if before == after:
            continue
        kind = "changed" if before and after else "added" if after else "removed"
        if is_secret(name):
            before, after = (imageview.MASK if value else "" for value in (before, after))
        yield Change(
            kind, f"{prefix}{name}", imageview.mask_text(before), imageview.mask_text(after)
        )
