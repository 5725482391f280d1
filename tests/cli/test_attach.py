"""Attaching files to images, and taking them away again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.images import Image

NAME = "vanessa/greeting"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)
    Path("bom.spdx.json").write_text('{"spdxVersion": "SPDX-2.3"}')


def said(capsys: Capture, *arguments: str) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_sbom_is_found_by_both_ways(capsys: Capture) -> None:
    value = said(capsys, "attach", NAME, "bom.spdx.json")
    assert value["artifactType"] == "application/spdx+json"
    assert value["subject"] == Image.of("one").digest
    again = said(capsys, "attach", f"{NAME}:latest", "bom.spdx.json")
    assert (again["digest"], again["changed"]) == (value["digest"], False)
    assert run(["build", "-q", "-t", "nginx"]) == 0
    endpoint = Path(f"_site/v2/{NAME}/referrers/{value['subject']}").read_bytes()
    schema = value["subject"].replace(":", "-")
    assert Path(f"_site/v2/{NAME}/manifests/{schema}").read_bytes() == endpoint
    (entry,) = json.loads(endpoint)["manifests"]
    assert (entry["digest"], entry["artifactType"]) == (value["digest"], "application/spdx+json")
    assert "SBOM" in Path(f"_site/{NAME}/tags/latest/index.html").read_text()


def test_it_stays_with_its_subject(capsys: Capture) -> None:
    value = said(capsys, "attach", NAME, "bom.spdx.json")
    deeper = said(capsys, "attach", f"{NAME}@{value['digest']}", "bom.spdx.json", "--type", "text")
    assert said(capsys, "gc")["blobs"] == []
    assert run(["rm", "-q", f"{NAME}@{deeper['digest']}"]) == 0
    Image.of("two").layout(Path("other"), "1")
    run(["add", "-q", "oci:other:1", f"{NAME}:2"])
    cosign = value["subject"].replace(":", "-") + ".sig"
    run(["add", "-q", "oci:other:1", f"{NAME}:{cosign}"])
    removed = said(capsys, "rm", f"{NAME}:latest")
    assert removed["tags"] == ["latest", cosign]
    blob = value["digest"].replace(":", "/")
    assert not Path(f"collections/{NAME}/blobs/{blob}").exists()
    assert run(["gc", "-q", "--delete"]) == 0
    assert run(["build", "-q"]) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        ((NAME, "nope.txt", "--type", "text"), 1, "does not exist"),
        ((NAME, "bom.bin"), 2, "--type"),
        ((NAME, "bom.spdx.json", "--type", "text/html"), 2, "media type"),
        ((f"{NAME}:9", "bom.spdx.json"), 1, "no tag '9'"),
        (("no/body", "bom.spdx.json"), 1, "no such collection"),
        ((f"{NAME}@sha256:{'0' * 64}", "bom.spdx.json"), 1, "no such manifest"),
        ((NAME, "bom.spdx.json", "bom.spdx.json"), 1, "same name"),
        ((NAME, "bom.spdx.json", "--annotation", "x"), 2, "KEY=VALUE"),
        ((NAME, "link.spdx.json"), 1, "symbolic link"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], status: int, word: str, capsys: Capture) -> None:
    Path("link.spdx.json").symlink_to("/etc/passwd")
    before = read_tree(Path("collections"))
    assert run(["attach", *arguments]) == status
    assert word in capsys.readouterr().err
    assert read_tree(Path("collections")) == before


def test_one_platform_of_a_tag(capsys: Capture) -> None:
    small, large = Image.of("small"), Image.of("large")
    Image.index(small, large).layout(Path("other"), "1")
    run(["add", "-q", "oci:other:1", f"{NAME}:all"])
    value = said(capsys, "attach", f"{NAME}:all", "bom.spdx.json", "--platform", "linux/arm64")
    assert value["subject"] == large.digest
    assert run(["attach", NAME, "bom.spdx.json", "--platform", "linux/arm64"]) == 1
    assert "it is for linux/amd64" in capsys.readouterr().err
