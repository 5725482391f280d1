"""The committed example registry, as people first meet it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builder.cli import run

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("example") / "site"
    assert run(["build", "-q", "-s", str(ROOT), "-d", str(destination)]) == 0
    return destination


def test_every_json_file_is_json(site: Path) -> None:
    files = [*site.rglob("*.json"), *site.glob("v2/**/tags/list"), site / "v2/_catalog"]
    assert len(files) > 30
    for file in files:
        json.loads(file.read_bytes())


def test_tags_with_two_names(site: Path) -> None:
    manifests = site / "v2/vanessa/greeting/manifests"
    assert (manifests / "latest").read_bytes() == (manifests / "1.1.0").read_bytes()


def test_nested_names_are_repositories(site: Path) -> None:
    assert "tools/text/wordcount" in json.loads((site / "v2/_catalog").read_bytes())["repositories"]


def test_the_original_format(site: Path) -> None:
    listed = json.loads((site / "library/lolcow/tags/index.json").read_bytes())
    assert listed == {"name": "library/lolcow", "tags": sorted(listed["tags"])}
    assert "README.md" not in listed["tags"]
    for tag in listed["tags"]:
        raw = (site / f"library/lolcow/manifests/{tag}/index.json").read_bytes()
        manifest = json.loads(raw)
        assert list(manifest) == ["schemaVersion", "mediaType", "config", "layers"]
        assert manifest["layers"][0]["urls"][0].startswith("https://")
    assert not (site / "v2/library/lolcow").exists()


def test_no_page_says_what_python_says(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "undefined" not in text, page
        assert ">None<" not in text, page


def test_every_link_leads_somewhere(site: Path) -> None:
    missing = set()
    for page in site.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="(/[^"#?]*)', page.read_text()):
            path = site / link.strip("/")
            if not path.is_file() and not (path / "index.html").is_file():
                missing.add(link)
    assert missing == set()
