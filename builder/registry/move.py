"""Giving a collection another name, and leaving redirects where its pages were.

The folder is renamed in one step, then the old name is written into
`_config.yml`. A run that is killed between the two is completed by running it
again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from builder.errors import ContentError, LocalError
from builder.frontmatter import decode, load_yaml
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions, Staged
from builder.registry.scan import scan
from builder.registry.stage import Judge, judge_collection
from builder.storage.cache import Cache
from builder.storage.local import make_folder, sync_folder, write_durably

CONFIG = "_config.yml"


def move_collection(
    options: RegistryOptions,
    old: str,
    new: str,
    *,
    judge: Judge = judge_collection,
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Let the collection `old` be called `new`; call with the registry's lock held.

    Raises ContentError when `old` is not there, `new` is, a tag is immutable
    (without `force`), `old` has collections below it, or the judge has
    something against it under that name that was right before; LocalError.
    """
    before, after = CollectionFolder(options, old), CollectionFolder(options, new)
    config = options.source / CONFIG
    text = decode(config.read_bytes(), CONFIG) if config.is_file() else ""
    if after.path.is_dir() and not before.path.exists() and old not in _redirects(text):
        if not dry_run:
            _write(config, add_redirect(text, old, new))
        return
    before.require()
    after.check()
    files = _check(options, before, after)
    if not force:
        before.refuse_immutable(*before.tags(), change="get another name")
    changed = add_redirect(text, old, new)
    _judge(judge, options, before, Staged(after.name, before.path, files=files))
    if dry_run:
        return
    before.sweep()
    try:
        make_folder(after.path.parent)
        before.path.rename(after.path)
        sync_folder(after.path.parent)
        sync_folder(before.path.parent)
    except OSError as error:
        raise LocalError.of(error, before.origin) from error
    _write(config, changed)
    before.prune()


def _check(
    options: RegistryOptions, before: CollectionFolder, after: CollectionFolder
) -> tuple[str, ...]:
    """Return the files of `before`; raises ContentError where it cannot be `after`."""
    if after.path.exists():
        raise ContentError.at(after.origin, "is there already", "choose another name")
    if after.name.startswith(f"{before.name}/"):
        raise ContentError.at(after.origin, f"lies inside {before.name}", "choose another name")
    below = scan(options.source, options.collections, before.name).folders
    inner = sorted(name for name in below if name.startswith(f"{before.name}/"))
    if inner:
        message = f"has collections below it: {', '.join(inner[:5])}"
        raise ContentError.at(before.origin, message, "move those first")
    return below[before.name].files if before.name in below else ()


def _judge(judge: Judge, options: RegistryOptions, before: CollectionFolder, after: Staged) -> None:
    options = replace(options, allow_missing=True)  # what lies elsewhere is as it was
    cache = Cache(options.source / ".builder-cache" / "cache.sqlite")
    known = set()
    for item in judge(options, before.name, cache):
        inner = item.path.removeprefix(before.origin)
        path = f"{options.collections}/{after.name}{inner}"
        known.add(replace(item, path=path) if inner != item.path else item)
    moved = replace(options, staged=after)
    problems = {item for item in judge(moved, after.name, cache) if not item.warning} - known
    cache.close()
    if problems:
        raise ContentError(problems)


def add_redirect(text: str, old: str, new: str) -> str:
    """Return `_config.yml` with `registry.redirects` leading from `old` to `new`.

    Redirects that led to `old` lead to `new`, and one from `new` goes: a name
    that is in use again is no old name. All else keeps its bytes. Raises
    ContentError where the file is written in a way that cannot be edited.
    """
    wanted = {
        name: new if to.strip("/") == old else to
        for name, to in _redirects(text).items()
        if name.strip("/") != new
    } | {old: new}
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    registry = _line(lines, r"registry:\s*(?:#.*)?$", 0)
    if registry is None:
        if any(line.startswith("registry:") for line in lines):
            raise _cannot(old, new)
        lines += ["\n"] * bool(lines) + ["registry:\n"]
        registry = len(lines) - 1
    indent = _indent(lines, registry) or "  "
    at = _line(lines, rf"{indent}redirects:\s*(?:\{{\s*\}}\s*)?(?:#.*)?$", registry + 1)
    if at is None:
        at = registry + 1
        inner = indent * 2
        end = at
        lines.insert(at, "")
        end += 1
    else:
        inner = _indent(lines, at) or indent * 2
        inner = inner if len(inner) > len(indent) else indent * 2
        end = at + 1
        while end < len(lines) and lines[end].startswith(inner):
            end += 1
    block = [f"{indent}redirects:\n"]
    block += [f"{inner}{name}: {to}\n" for name, to in sorted(wanted.items())]
    result = "".join([*lines[:at], *block, *lines[end:]])
    if _redirects(result) != wanted:
        raise _cannot(old, new)
    return result


def _cannot(old: str, new: str) -> ContentError:
    hint = f"write it yourself: registry: redirects: {old}: {new}; then run it again"
    return ContentError.at(CONFIG, "registry.redirects cannot be edited as it is written", hint)


def _redirects(text: str) -> dict[str, str]:
    value = load_yaml(text, CONFIG).value if text.strip() else None
    registry = value.get("registry") if isinstance(value, dict) else None
    found = registry.get("redirects") if isinstance(registry, dict) else None
    return {str(key): str(to) for key, to in found.items()} if isinstance(found, dict) else {}


def _line(lines: list[str], pattern: str, start: int) -> int | None:
    for number in range(start, len(lines)):
        if re.match(pattern, lines[number]):
            return number
        if start and lines[number].strip() and not lines[number][0].isspace():
            return None
    return None


def _indent(lines: list[str], above: int) -> str:
    """Return the indentation of the first line of a block."""
    for line in lines[above + 1 :]:
        if line.strip() and not line.lstrip().startswith("#"):
            return line[: len(line) - len(line.lstrip())]
    return ""


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise LocalError.of(error, path.name) from error
