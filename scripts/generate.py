"""Make a registry of any size, the same every time: `generate.py FOLDER COLLECTIONS [TAGS]`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PER_NAMESPACE = 100


SETTINGS = "title: Generated registry\n"


def generate(
    root: Path, collections: int, tags: int = 3, per_namespace: int = PER_NAMESPACE
) -> None:
    """Write `collections` collections of `tags` tags each below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "_config.yml").write_text(SETTINGS)
    for number in range(collections):
        _collection(root / "collections" / name_of(number, per_namespace), number, tags)


def name_of(number: int, per_namespace: int = PER_NAMESPACE) -> str:
    """Return the name of a collection by its number."""
    return f"team{number // per_namespace}/tool{number}"


def readme(number: int) -> str:
    """Return about 1.5 kB of ordinary Markdown."""
    rows = "\n".join(f"| option{n} | value {n * number} | `--option{n}` |" for n in range(6))
    items = "\n".join(f"- point {n} about *tool {number}*" for n in range(5))
    return (
        f"---\ntitle: Tool {number}\ndescription: Does thing {number}, quickly and well\n"
        f"license: MIT\nkeywords: [generated, kind{number % 20}]\n---\n"
        f"# Tool {number}\n\nTool {number} reads **input**, writes output and "
        f"[links](https://example.org/{number}).\n\n## Use\n\n```sh\ntool{number} --help\n```\n\n"
        f"{items}\n\n## Options\n\n| name | value | flag |\n| --- | --- | --- |\n{rows}\n\n"
        f"## Notes\n\n{'Some more words that say how it works. ' * 8}\n"
    )


def write_tag(folder: Path, number: int, tag: int) -> None:
    """Write one tag of the collection in `folder`, with its layer."""
    layer, diff_id = _layer(f"tool {number}\n")
    config = _json({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/tool"]},
                    "rootfs": {"type": "layers", "diff_ids": [diff_id]}})  # fmt: skip
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for blob in (layer, config):
        (blobs / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, config),
        "layers": [_descriptor(LAYER, layer)],
        "annotations": {"org.opencontainers.image.version": f"1.{tag}"},
    }
    place = folder / "manifests" / f"1.{tag}"
    place.mkdir(parents=True)
    (place / "manifest.json").write_bytes(_json(document))
    (place / "README.md").write_text(f"---\ncreated: 2024-0{tag % 9 + 1}-01T00:00:00Z\n---\n")


def _collection(folder: Path, number: int, tags: int) -> None:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(readme(number))
    for tag in range(tags):
        write_tag(folder, number, tag)


def _layer(text: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("tool")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    raw = buffer.getvalue()
    return gzip.compress(raw, mtime=0), f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3)
