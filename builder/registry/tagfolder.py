"""Reading one tag's folder, `manifests/<tag>/`: its notes, and the image or recipe they are of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from builder.errors import ContentError, Problem
from builder.frontmatter import FrontMatter
from builder.oci.layout import MARKER
from builder.oci.manifest import Manifest
from builder.oci.reference import tag_fault
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, UnverifiableError, parse_manifest
from builder.registry.content import Unverifiable
from builder.registry.findings import Findings
from builder.registry.layouts import layout_image
from builder.registry.legacy import CONVERTED_FROM, has_manifest, is_made_from, parse_legacy
from builder.registry.model import LegacyManifest, Tag
from builder.registry.readme import read_readme
from builder.registry.recipe import MANIFEST, read_recipe, recipe_file
from builder.registry.scan import is_litter, readme_of
from builder.registry.schema import LEGACY_KEYS, TAG_KEYS, check_keys, legacy_problems
from builder.storage.local import open_regular


def read_tag_folder(folder: Path, origin: str, findings: Findings) -> Tag:
    """Return the tag that has the name of its folder; raises ContentError."""
    name = folder.name
    if fault := tag_fault(name):
        raise ContentError.at(origin, fault, "rename the folder")
    names = sorted(item for item in os.listdir(folder) if not is_litter(item))
    matter = _notes(folder, origin, names, findings)
    manifest, why = _manifest(folder, origin, names, findings)
    legacy = _legacy(matter, manifest) if has_manifest(matter) else None
    recipe = None
    if file := recipe_file(names, origin):
        built = legacy is not None or (manifest is not None and readme_of(names) != "")
        recorded = str(matter.keys.get("inputs") or "")
        recipe = read_recipe(folder, origin, file, built=built, recorded=recorded)
    if manifest is None and legacy is None and recipe is None and not why:
        raise ContentError([_no_content(folder, origin, names)])
    keys = matter.keys
    return Tag(
        name,
        origin,
        manifest,
        legacy,
        recipe,
        keys,
        matter.body,
        matter.body_line,
        str(keys.get("created") or ""),
        str(keys.get("yanked") or ""),
        available=manifest is not None or not why,
        warnings=tuple(filter(None, [why])),
        notes_path=matter.path,
    )


def _legacy(matter: FrontMatter, manifest: Manifest | None) -> LegacyManifest | None:
    """Return the manifest in front matter, unless the tag has one that is not made of it."""
    if manifest is None:
        return parse_legacy(matter)
    if CONVERTED_FROM not in manifest.annotations:
        return None
    legacy = parse_legacy(matter)
    return legacy if is_made_from(manifest, legacy) else None


def _notes(folder: Path, origin: str, names: list[str], findings: Findings) -> FrontMatter:
    matter = read_readme(folder, origin, names)
    known = {**TAG_KEYS, **dict.fromkeys(LEGACY_KEYS, _anything)}
    findings.problems.extend(check_keys(matter, known))
    if "layers" in matter.keys and MANIFEST in names:
        findings.problems.extend(legacy_problems(matter))
    return matter


def _manifest(
    folder: Path, origin: str, names: list[str], findings: Findings
) -> tuple[Manifest | None, str]:
    """Return what a tag folder points to, and what is odd about that, or why it is nothing."""
    if MANIFEST in names:
        label = f"{origin}/{MANIFEST}"
        with open_regular(folder / MANIFEST, label) as stream:
            raw = stream.read(MAX_BYTES + 1)
        try:
            return _parse(raw, label), _line_ends(raw)
        except Unverifiable as fault:
            return None, str(fault)
    if MARKER not in names:
        return None, ""
    return layout_image(folder, origin, findings)


def _parse(raw: bytes, label: str) -> Manifest:
    try:
        return parse_manifest(raw, allow_foreign=True)
    except UnverifiableError as error:
        raise Unverifiable(error.message) from None
    except ManifestError as error:
        raise ContentError(
            Problem(label, message=str(fault), hint=fault.hint or "add the image again")
            for fault in error.faults
        ) from None


def _anything(value: Any) -> str:  # noqa: ARG001 - checked by registry.legacy
    return ""


def _line_ends(raw: bytes) -> str:
    """Return a warning where git seems to have changed a manifest's bytes, and so its digest."""
    if 0 < raw.count(b"\n") == raw.count(b"\r\n"):
        return (
            f"{MANIFEST} has Windows line ends: if git converted them, its digest has changed; "
            "write 'manifest.json -text' into .gitattributes and add the image again"
        )
    return ""


def _no_content(folder: Path, origin: str, names: list[str]) -> Problem:
    inner = [name for name in names if (folder / name).is_dir() and name != "blobs"]
    if inner:
        message = "a tag cannot hold another tag: its name has no '/'"
        return Problem(f"{origin}/{inner[0]}", message=message, hint="move the folder up")
    message = "the tag has no manifest.json, no manifest in its README.md, and no recipe"
    return Problem(origin, message=message, hint="bring the image in with 'builder add'")
