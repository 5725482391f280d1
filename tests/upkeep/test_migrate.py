"""An old registry: tags that can be fetched, that are dead, that were never built."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree, write_tree
from tests.gitting import commit, git
from tests.images import Image

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
    assert run(["migrate", "-s", str(registry), str(tmp_path)]) == 1
    assert "collections/" in capsys.readouterr().err


CONFIG = """
title:        Static Containers

# Urls
baseurl:      "/static"
repository:   "somebody/static"
repo:         "https://www.github.com/somebody/static"

maintainer: "@somebody"
twitter: somebody

keywords: "singularity, containers"
description: "containers for a laboratory"

defaults:
  -
    scope:
      path: ""
      type: "pages"
    values:
      layout: "default"
  -
    scope:
      path: ""
      type: "pages"
    values:
      permalink: "/:path/"

markdown: kramdown
"""
TAGS_PAGE = "---\nlayout: tags\n---\n\nThe tags of this one.\n"
SHA = "sha256:" + hashlib.sha256(SIF).hexdigest()


def sif_front(url: str) -> str:
    size = len(SIF) // 1024
    return (
        f"---\nlayout: manifests/singularity\nsize: {size}\ndigest: {SHA}\nlayers:\n"
        f'- size: {size}\n  digest: "{SHA}"\n  url: "{url}"\n---\n\n'
    )


def at_the_root(files: str) -> dict[str, str | bytes]:
    """A checkout of the original's own shape: collections beside what Jekyll needs."""
    one = "vanessa/fortune"
    two = "vanessa/deeper/greeting"
    md5 = hashlib.md5(OLD, usedforsecurity=False)
    return {
        "_config.yml": CONFIG,
        "README.md": "---\nlayout: home\n---\n\n# Container storage\n",
        "LICENSE": "Yours.\n",
        ".gitignore": "_site\n",
        "_layouts/default.html": "<html>{{ content }}</html>\n",
        "_layouts/manifests/singularity.html": "{{ page.size }}\n",
        ".circleci/config.yml": "version: 2\n",
        ".circleci/build.sh": "#!/bin/sh\n",
        "assets/css/style.css": "a {}\n",
        "docs/README.md": "No collection.\n",
        f"{one}/README.md": "---\nlayout: collection\ndescription: tells\nkeywords: [a, b]\n"
        'maintainers: ["@somebody"]\npermalink: /x/\n---\n\nHere {{ site.repository }}.\n',
        f"{one}/tags/README.md": TAGS_PAGE,
        f"{one}/manifests/README.md": TAGS_PAGE,
        f"{one}/manifests/latest/README.md": sif_front(f"{files}/new.sif"),
        f"{one}/manifests/latest/Singularity": "Bootstrap: docker\nFrom: busybox\n",
        f"{one}/manifests/gone/README.md": sif_front(f"{files}/nothing"),
        f"{one}/manifests/pages/index.html": "{}\n",
        f"{two}/manifests/coded/README.md": front(f"{files}/nothing", OLD).replace(
            md5.hexdigest(), base64.b64encode(md5.digest()).decode()
        ),
        f"{two}/manifests/todo/Singularity": "Bootstrap: docker\n",
        "Upper/Case/manifests/latest/README.md": sif_front(f"{files}/new.sif"),
    }


def organisation(files: str) -> dict[str, str | bytes]:
    """A checkout of the variant whose recipes lie in other repositories."""
    base = "team/centos"
    return {
        "_config.yml": CONFIG,
        "README.md": "---\nlayout: home\n---\n",
        ".github/main.workflow": "workflow {}\n",
        f"{base}/manifests/latest/README.md": sif_front(f"{files}/new.sif"),
        f"{base}/tags/README.md": TAGS_PAGE,
        "team/nginx/README.md": "---\nlayout: collection\ndescription: serves\n---\n",
    }


def original_answer(url: str) -> dict[str, Any]:
    """What the original's page layout made of the front matter above."""
    size = len(SIF) // 1024
    kind = "application/vnd.singularity"
    return {
        "schemaVersion": 2,
        "mediaType": f"{kind}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{kind}.container.image.v1+json", "size": size, "digest": SHA},
        "layers": [
            {"mediaType": f"{kind}.image.squashfs", "size": size, "digest": SHA, "urls": [url]}
        ],
    }


def answer(registry: Path, path: str) -> Any:
    return json.loads((registry / "_site" / path / "index.json").read_bytes())


@pytest.mark.parametrize("below", ["", "collections/"])
def test_collections_at_the_root(
    registry: Path, tmp_path: Path, files: str, capsys: Capture, below: str
) -> None:
    old = tmp_path / "old"
    names = {"vanessa", "Upper"}
    shape = at_the_root(files)
    write_tree(
        old, {(below if path.partition("/")[0] in names else "") + path: text
              for path, text in shape.items()},
    )  # fmt: skip
    before = read_tree(old)
    assert run(["migrate", "-s", str(registry), "--json", str(old)]) == 4
    said = capsys.readouterr()
    found = {f"{item['name']}:{item['tag']}": item["state"] for item in json.loads(said.out)}
    assert found == {
        "Upper/Case:latest": "left out",
        "vanessa/deeper/greeting:coded": "unreachable",
        "vanessa/deeper/greeting:todo": "kept",
        "vanessa/fortune:gone": "unreachable",
        "vanessa/fortune:latest": "converted",
        "vanessa/fortune:pages": "left out",
    }
    assert (
        "left out, as they are not collections: .circleci, .gitignore, LICENSE, README.md"
        in said.err
    )
    assert read_tree(old) == before
    assert not {"_layouts", "assets", "docs"} & {path.name for path in registry.iterdir()}
    readme = (registry / "collections/vanessa/fortune/README.md").read_text()
    assert "permalink" not in readme
    assert 'maintainers: ["@somebody"]' in readme
    config = (registry / "_config.yml").read_text()
    for text in ("Static Containers", "for a laboratory", "@somebody", "singularity, containers"):
        assert text in config
    assert run(["build", "-q", "-s", str(registry)]) == 0
    for tag, url in (("latest", "new.sif"), ("gone", "nothing")):
        expected = original_answer(f"{files}/{url}")
        assert answer(registry, f"vanessa/fortune/manifests/{tag}") == expected
    tags = answer(registry, "vanessa/fortune/tags")
    assert tags == {"name": "vanessa/fortune", "tags": ["gone", "latest"]}
    md5 = hashlib.md5(OLD, usedforsecurity=False).hexdigest()
    for key in (md5, f"md5:{md5}"):
        blob = answer(registry, f"vanessa/deeper/greeting/blobs/{key}")
        assert blob["url"] == f"{files}/nothing"
    v2 = json.loads((registry / "_site/v2/vanessa/fortune/tags/list").read_bytes())
    assert v2["tags"] == ["latest"]


def test_the_organisations_variant(
    registry: Path, tmp_path: Path, files: str, capsys: Capture
) -> None:
    write_tree(tmp_path / "old", organisation(files))
    assert run(["migrate", "-q", "-s", str(registry), "--no-fetch", str(tmp_path / "old")]) == 0
    assert "1 kept" in capsys.readouterr().out
    assert run(["build", "-q", "-s", str(registry)]) == 0
    expected = original_answer(f"{files}/new.sif")
    assert answer(registry, "team/centos/manifests/latest") == expected
    assert "serves" in (registry / "_site/team/nginx/index.html").read_text()


def test_sizes_may_stand_in_quotes(
    registry: Path, tmp_path: Path, files: str, capsys: Capture
) -> None:
    """The original's page layout printed what stood there: with quotes or without, a number."""
    size = len(SIF) // 1024
    text = sif_front(f"{files}/new.sif").replace(f"size: {size}", f'size: "{size}"')
    assert text.count('"26"') == 2
    base = "team/centos/manifests"
    write_tree(tmp_path / "old", {
        f"{base}/latest/README.md": text,
        f"{base}/bad/README.md": text.replace('"26"', '"26 KB"'),
    })  # fmt: skip
    assert run(["migrate", "-q", "-s", str(registry), "--no-fetch", str(tmp_path / "old")]) == 1
    assert "size: must be a whole number, not '26 KB'" in capsys.readouterr().err
    assert run(["build", "-q", "-s", str(registry)]) == 0
    expected = original_answer(f"{files}/new.sif")
    assert answer(registry, "team/centos/manifests/latest") == expected


def test_history_goes_on(tmp_path: Path, files: str, capsys: Capture) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_tree(old, at_the_root(files))
    git(old, "init", "-q", "-b", "main")
    first = commit(old, "as it was")
    assert run(["migrate", "-q", "-s", str(new), "--history", str(old)]) == 4
    assert git(old, "status", "--porcelain") == ""
    path = "collections/vanessa/fortune/manifests/latest/Singularity"
    assert first in git(new, "log", "--follow", "--format=%H", "--", path)
    assert run(["build", "-q", "-s", str(new)]) == 0
    assert answer(new, "vanessa/fortune/manifests/gone") == original_answer(f"{files}/nothing")
    assert {path.name for path in new.iterdir() if path.name[0] != "."} == {
        "LICENSE", "README.md", "_config.yml", "_site", "collections",
    }  # fmt: skip
    capsys.readouterr()
    assert run(["migrate", "-q", "-s", str(new), "--history", str(old)]) == 1
    assert "not an empty folder" in capsys.readouterr().err


def test_an_image_that_moved_on_answers_for_itself(
    registry: Path, tmp_path: Path, files: str
) -> None:
    write_tree(tmp_path / "old", at_the_root(files))
    run(["migrate", "-q", "-s", str(registry), str(tmp_path / "old")])
    Image.of("new").layout(tmp_path / "layout", "x")
    name = "vanessa/fortune:latest"
    assert run(["add", "-q", "-s", str(registry), str(tmp_path / "layout"), name]) == 0
    assert run(["build", "-q", "-s", str(registry)]) == 0
    found = answer(registry, "vanessa/fortune/manifests/latest")
    assert found == json.loads(Image.of("new").manifest)


def test_what_is_wrong_is_told_where_it_is_and_what_came_all_the_same(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    recipe = "Bootstrap: docker\nFrom: busybox\n"
    write_tree(tmp_path / "old", {
        "a/one/README.md": '---\r\nmaintainer: "@ann"\r\n---\r\nmaintainer: in the text\r\n',
        "a/one/manifests/latest/Singularity": recipe,
        "b/two/README.md": b"caf\xe9\n",
        "b/two/manifests/latest/Singularity": recipe,
        "collections/c/README.md": "---\nlayout: collection\ntitle: a\ntitle: b\n---\n",
        "collections/c/manifests/1/Singularity": recipe,
    })  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["migrate", "-q", "--no-fetch", "old", "-s", str(registry)]) == 1
    told = capsys.readouterr().err
    assert "old/b/two/README.md:1: is not UTF-8 text" in told
    assert "old/collections/c/README.md:4: the key 'title' stands here twice" in told
    assert "3 tags imported; fix the problems, then run it again" in told
    text = (registry / "collections/a/one/README.md").read_bytes().decode()
    assert text.splitlines()[1:4:2] == ['maintainers: "@ann"', "maintainer: in the text"]
    assert run(["build", "-q", "-s", str(registry)]) == 0
    assert "maintainer" not in capsys.readouterr().err
