"""An old registry: tags that can be fetched, that are dead, that were never built."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import read_tree, write_tree

Capture = pytest.CaptureFixture[str]
SIF = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" * 9000
OLD = b"old squashfs image" * 1000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "files"
    write_tree(folder, {"new.sif": SIF, "old.simg": OLD, "moved.simg": b"something else"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def front(url: str, data: bytes) -> str:
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return (
        f"---\nlayout: manifests/singularity\nsize: {len(data) // 1024}\n"
        f"layers:\n  - size: {len(data) // 1024}\n    digest: md5:{digest}\n    url: {url}\n---\n"
    )


@pytest.fixture
def old(tmp_path: Path, files: str) -> Path:
    folder = tmp_path / "old"
    base = "collections/vanessa/greeting"
    write_tree(
        folder,
        {
            "_config.yml": "title: An old one\n",
            f"{base}/README.md": "---\ntitle: Greeting\npermalink: /x\n---\nHi.\n",
            f"{base}/tags/README.md": "---\nlayout: tags\n---\n",
            f"{base}/manifests/new/README.md": front(f"{files}/new.sif", SIF),
            f"{base}/manifests/new/Singularity": "Bootstrap: docker\nFrom: busybox\n",
            f"{base}/manifests/old/README.md": front(f"{files}/old.simg", OLD),
            f"{base}/manifests/dead/README.md": front(f"{files}/nothing", OLD),
            f"{base}/manifests/moved/README.md": front(f"{files}/moved.simg", OLD),
            f"{base}/manifests/todo/Singularity": "Bootstrap: docker\n",
        },
    )
    return folder


def test_tag_by_tag(registry: Path, old: Path, capsys: Capture) -> None:
    before = read_tree(old)
    flags = ["-q", "-s", str(registry), "--json"]
    assert run(["migrate", *flags, "--dry-run", str(old)]) == 0
    assert not (registry / "collections").exists()
    capsys.readouterr()
    assert run(["migrate", *flags, str(old)]) == 4  # one address is dead
    found = {item["tag"]: item for item in json.loads(capsys.readouterr().out)}
    states = {tag: item["state"] for tag, item in found.items()}
    assert states == {
        "new": "converted", "old": "converted", "dead": "unreachable", "moved": "kept",
        "todo": "kept",
    }  # fmt: skip
    assert "other bytes" in found["moved"]["why"]
    folder = registry / "collections/vanessa/greeting"
    manifest = json.loads((folder / "manifests/new/manifest.json").read_bytes())
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.sylabs.sif.layer.v1.sif"
    assert layer["size"] == len(SIF)
    assert (folder / "blobs" / layer["digest"].replace(":", "/")).read_bytes() == SIF
    manifest = json.loads((folder / "manifests/old/manifest.json").read_bytes())
    assert manifest["layers"][0]["mediaType"] == "application/vnd.singularity.image.squashfs"
    assert (folder / "manifests/new/Singularity").is_file()
    assert "permalink" not in (folder / "README.md").read_text()
    assert run(["build", "-q", "-s", str(registry)]) == 0
    tags = json.loads((registry / "_site/v2/vanessa/greeting/tags/list").read_bytes())
    assert tags["tags"] == ["new", "old"]
    friendly = json.loads((registry / "_site/vanessa/greeting/tags/index.json").read_bytes())
    assert friendly["tags"] == ["dead", "moved", "new", "old"]
    assert read_tree(old) == before


def test_again_goes_on(registry: Path, old: Path, capsys: Capture) -> None:
    flags = ["-q", "-s", str(registry), "--json"]
    run(["migrate", *flags, str(old)])
    first = read_tree(registry / "collections")
    capsys.readouterr()
    run(["migrate", *flags, str(old)])
    found = {item["tag"]: item["state"] for item in json.loads(capsys.readouterr().out)}
    assert found["new"] == "converted"
    assert read_tree(registry / "collections") == first


def test_a_folder_that_is_no_registry(registry: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["migrate", "-s", str(registry), str(tmp_path / "files")]) == 1
    assert "collections/" in capsys.readouterr().err
