"""The published JSON schemas agree with what is read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from builder import frontmatter
from builder.cli import run
from builder.registry.legacy import has_manifest
from builder.registry.schema import COLLECTION_KEYS, TAG_KEYS

ROOT = Path(__file__).parent.parent


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (ROOT / f"docs/reference/schemas/{name}.schema.json").read_bytes()
    )
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def test_every_key_is_in_its_schema() -> None:
    assert set(schema("collection")["properties"]) == set(COLLECTION_KEYS)
    assert set(TAG_KEYS) <= set(schema("tag")["properties"])


@pytest.mark.parametrize("path", sorted((ROOT / "collections").rglob("README.md")), ids=str)
def test_the_example_s_front_matter(path: Path) -> None:
    matter = frontmatter.parse(path.read_bytes(), str(path))
    if path.parent.name in ("manifests", "tags"):
        return
    is_tag = path.parent.parent.name == "manifests"
    jsonschema.validate(matter.keys, schema("tag" if is_tag else "collection"))
    assert not has_manifest(matter) or is_tag


def test_the_example_s_endpoints(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert run(["build", "-q", "-s", str(ROOT), "-d", str(site)]) == 0
    jsonschema.validate(json.loads((site / "v2/_catalog").read_bytes()), schema("catalog"))
    lists = [*site.glob("v2/**/tags/list"), *site.rglob("tags/index.json")]
    blobs = list(site.rglob("blobs/*/index.json"))
    assert len(lists) > 5
    assert len(blobs) > 10
    for file in lists:
        jsonschema.validate(json.loads(file.read_bytes()), schema("tags"))
    for file in blobs:
        jsonschema.validate(json.loads(file.read_bytes()), schema("blob"))
