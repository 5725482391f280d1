"""The page of a tag, the build's warnings and `check --url` say the same of each client."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from builder import clients
from builder.cli import run
from builder.probe.ask import probe
from builder.probe.judgement import judge
from builder.remote.options import RemoteOptions
from tests.hosts import serve_preview
from tests.images import MANIFEST, Image, as_json, descriptor, sha256

pytestmark = pytest.mark.e2e

FAMILY = {
    "docker": clients.DOCKER, "podman": clients.PODMAN, "skopeo": clients.PODMAN,
    "apptainer": clients.CRANE, "crane": clients.CRANE, "oras": clients.ORAS,
    "ctr": clients.CONTAINERD, "from": clients.DOCKER, "kubernetes": clients.CONTAINERD,
    "python": clients.PYTHON,
}  # fmt: skip
IMAGE = Image.of("one")


def artifact(*urls: str) -> Image:
    data, empty = b"reads", b"{}"
    far: dict[str, Any] = {"urls": list(urls)} if urls else {}
    title = {"org.opencontainers.image.title": "reads.txt"}
    document = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.reads",
        "config": descriptor("application/vnd.oci.empty.v1+json", empty),
        "layers": [descriptor("text/plain", data, annotations=title, **far)],
    }  # fmt: skip
    return Image(as_json(document), {sha256(empty): empty, sha256(data): data})


CONTENT = {
    clients.SINGLE: IMAGE,
    clients.INDEX: Image.index(Image.of("two"), Image.of("three", architecture="arm64")),
    clients.ARTIFACT: artifact(),
}
CLIENT = re.compile(r'id="client-([a-z]+)"')
PANEL = re.compile(r'<div class="panel">\s*<p class="label[ a-z]*">\s*([^<]*)</p>')


def registry_of(folder: Path, kind: str, target: str, *, elsewhere: bool) -> Path:
    """Write a registry of one tag, its layers where the case wants them."""
    settings = "blobs: https://layers.example.org" if elsewhere else "blobs: site"
    folder.mkdir()
    (folder / "_config.yml").write_text(f"registry: {{target: {target}, {settings}}}\n")
    collection = folder / "collections/a/b"
    collection.mkdir(parents=True)
    (collection / "README.md").write_text("---\ntitle: B\n---\n")
    CONTENT[kind].tag(collection, "1")
    if elsewhere:
        for file in collection.glob("blobs/sha256/*"):
            if not file.read_bytes().startswith(b"{"):
                file.unlink()
    return folder


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("target", ["github-pages", "s3", "nginx"])
@pytest.mark.parametrize("kind", CONTENT)
def test_page_build_and_probe_agree(
    tmp_path: Path, kind: str, target: str, *, elsewhere: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    source = registry_of(tmp_path / "registry", kind, target, elsewhere=elsewhere)
    with serve_preview(source, tmp_path, target) as host:
        facts = probe(f"http://{host}", RemoteOptions())
        verdicts = {verdict.clients: verdict for verdict in judge(facts).verdicts}
        page = requests.get(f"http://{host}/a/b/tags/1/", timeout=10).text
    assert {sample.kind for sample in facts.samples} >= {kind}
    panels = zip(CLIENT.findall(page), PANEL.findall(page), strict=True)
    offered = {FAMILY[key] for key, label in panels if label == "by tag" and key in FAMILY}
    for family in offered:
        assert kind not in verdicts[family].fails, (family, verdicts[family])
    unasked = {clients.PYTHON, clients.PODMAN}  # offered only where they help
    unasked |= {clients.CRANE} if kind == clients.ARTIFACT else set()
    for family in set(FAMILY.values()) - offered - unasked:
        assert kind in verdicts[family].fails or kind not in clients.CLIENTS[family], family
    assert run(["build", "-s", str(source), "-d", str(tmp_path / "built")]) == 0
    warned = "layers are stored elsewhere" in capfd.readouterr().err
    assert warned == any(part.elsewhere for part in facts.parts) == ("stored elsewhere" in page)


def test_a_layer_that_stays_where_its_urls_lead_is_not_in_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = artifact("https://data.example.org/reads.txt")
    monkeypatch.setitem(CONTENT, clients.ARTIFACT, away)
    source = registry_of(tmp_path / "registry", clients.ARTIFACT, "s3", elsewhere=True)
    with serve_preview(source, tmp_path, "s3") as host:
        facts = probe(f"http://{host}", RemoteOptions())
    fails = {verdict.clients: verdict.fails for verdict in judge(facts).verdicts}
    assert clients.ARTIFACT in fails[clients.ORAS]


def test_what_remains_is_offered_in_words(tmp_path: Path) -> None:
    source = registry_of(tmp_path / "r", clients.ARTIFACT, "github-pages", elsewhere=True)
    assert run(["build", "-s", str(source), "--url", "https://example.org"]) == 0
    page = (source / "_site/a/b/tags/1/index.html").read_text()
    assert "apptainer pull" not in page
    assert "oras.client" not in page
    assert "builder proxy https://example.org" in page
    assert "oras pull --plain-http localhost:5000/a/b:1" in page
    assert "docker pull" not in page
    assert "https://layers.example.org/blobs/sha256/" in page
    twin = json.loads((source / "_site/a/b/tags/1/index.json").read_bytes())
    assert twin["name"] == "a/b"
