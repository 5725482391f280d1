"""What pages offer on hosts that give manifests no media type: only what works there."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import Image

G = "collections/vanessa/greeting"
BASE = "https://example.org/vanessa/greeting/tags/1.0/greeting_1.0"
COMMAND = re.compile(r'<pre class="command" tabindex="0"><code>([^<]*)')
CLIENT = re.compile(r'id="client-([a-z]+)"')


@pytest.fixture
def index(greeting: Path) -> Image:
    image = Image.index(Image.of("a"), Image.of("b", architecture="arm64"))
    image.tag(greeting / G, "1.0")
    return image


def settings(registry: Path, text: str) -> None:
    (registry / "_config.yml").write_text(f"url: https://example.org\nregistry: {{{text}}}\n")


def page(registry: Path, tag: str = "1.0") -> str:
    return html.unescape(
        (registry / f"_site/vanessa/greeting/tags/{tag}/index.html").read_text()
    )  # fmt: skip


def commands(registry: Path, tag: str = "1.0") -> list[str]:
    return COMMAND.findall(page(registry, tag))


def test_an_index_is_had_by_the_digests_of_its_images(
    greeting: Path, index: Image, build: Callable[..., int]
) -> None:
    settings(greeting, "target: github-pages")
    assert build() == 0
    amd64, arm64 = (item["digest"] for item in json.loads(index.manifest)["manifests"])
    shown = commands(greeting)
    for digest in (amd64, arm64):
        assert f"crane pull example.org/vanessa/greeting@{digest} greeting.tar" in shown
        assert f"apptainer pull docker://example.org/vanessa/greeting@{digest}" in shown
    assert set(CLIENT.findall(page(greeting))) == {
        "apptainer", "crane", "proxy", "python", "curl",
    }  # fmt: skip
    assert "crane pull example.org/vanessa/greeting:latest greeting.tar" in commands(
        greeting, "latest"
    )


def test_all_that_can_be_switched_on(
    greeting: Path, index: Image, build: Callable[..., int]
) -> None:
    settings(greeting, "target: plain, schema1: true, platform_tags: true, archives: true")
    assert build() == 0
    shown = commands(greeting)
    for command in (
        f"curl -fL {BASE}-arm64.tar | docker load",
        f"podman load -i {BASE}-amd64.tar",
        f"curl -fL {BASE}-amd64.tar | ctr images import -",
        "podman pull example.org/vanessa/greeting:1.0.s1",
        "buildah pull example.org/vanessa/greeting:1.0-arm64.s1",
        "skopeo copy docker://example.org/vanessa/greeting:1.0.s1 oci:greeting:1.0",
        "docker pull example.org/vanessa/greeting:1.0.s1",
        "crane pull example.org/vanessa/greeting:1.0-amd64 greeting.tar",
    ):
        assert command in shown, command
    assert "podman pull example.org/vanessa/greeting:1.0" not in shown
    assert f"skopeo copy --all docker://example.org/vanessa/greeting@{index.digest}" not in shown
    twin = json.loads((greeting / "_site/vanessa/greeting/tags/1.0/index.json").read_bytes())
    assert [item["name"] for item in twin["companions"]] == [
        "1.0-amd64", "1.0-arm64", "1.0.s1", "1.0-arm64.s1",
    ]  # fmt: skip
    assert [item["platform"] for item in twin["archives"]] == ["linux/amd64", "linux/arm64"]
    for item in twin["archives"]:
        assert (greeting / "_site" / item["url"].lstrip("/")).stat().st_size == item["size"]
    collection = (greeting / "_site/vanessa/greeting/index.html").read_text()
    assert "/tags/1.0/" in collection
    assert "/tags/1.0.s1/" not in collection


def test_a_project_page_has_archives(
    greeting: Path, index: Image, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    settings(greeting, "target: github-pages, schema1: true, archives: true")
    assert build("-b", "/below") == 0
    assert "nothing can be pulled by name" in capfd.readouterr().err
    url = BASE.replace("example.org/", "example.org/below/")
    assert f"curl -fL {url}-amd64.tar | docker load" in commands(greeting)
    assert not any(":1.0.s1" in command for command in commands(greeting))
    assert "builder proxy https://example.org/below" in commands(greeting)
    assert index.digest in page(greeting)


def test_where_everybody_can_pull_an_archive_is_one_more_way(
    greeting: Path, index: Image, build: Callable[..., int]
) -> None:
    settings(greeting, "target: nginx, archives: true")
    assert build() == 0
    assert CLIENT.findall(page(greeting))[0] == "docker"
    assert CLIENT.findall(page(greeting))[-1] == "archive"
    assert f"docker pull example.org/vanessa/greeting@{index.digest}" in commands(greeting)


def test_a_build_says_what_its_target_cannot(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    settings(greeting, "target: gitlab-pages")
    assert build() == 0
    assert "sends no media types for manifests" in capfd.readouterr().err
    assert build("-V") == 0
    assert "registry.schema1" in capfd.readouterr().err
    assert build("-t", "nginx") == 0
    assert "media type" not in capfd.readouterr().err
