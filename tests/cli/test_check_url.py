"""`builder check --url` on hosts that are honest, and on ones that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.cli import run
from tests.images import Image, as_json, sha256
from tests.page_host import Host, Twists, pages
from tests.proxy.conftest import NAME, index_of, tree
from tests.proxy.test_answers import artifact

IMAGE = Image.of("one")
INDEXED = Image.index(Image.of("two"), Image.of("three"))
CATALOG = {"v2/_catalog": as_json({"repositories": [NAME]})}


def everything() -> dict[str, bytes]:
    sbom = artifact(IMAGE)
    files = tree(IMAGE, "single") | tree(INDEXED, "index") | tree(sbom, "sbom") | CATALOG
    files |= {f"v2/{NAME}/tags/list": as_json({"name": NAME, "tags": ["single", "index"]})}
    tag = f"v2/{NAME}/manifests/{IMAGE.digest.replace(':', '-')}"
    return files | {tag: index_of(sbom.manifest, kind=sbom.media_type)}


def checked(host: Host, capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, Any]:
    assert run(["check", "--url", host.url, "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_host_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    with pages(everything(), Twists(root="")) as host:
        found = checked(host, capsys)
    assert found["tags"] == {"listed": 2, "checked": 2}
    assert set(found["samples"]) == {"single image", "index", "referrer"}
    works = {verdict["clients"][0]: verdict["works"] for verdict in found["clients"]}
    assert works == {"docker": "no", "podman": "no", "containerd": "no", "crane": "partly",
                     "oras": "no", "python oras": "yes", "curl": "yes"}  # fmt: skip
    assert found["problems"] == []


def test_it_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pages(everything()) as host:
        assert run(["check", "--url", f"{host.url}/"]) == 0
        said = capsys.readouterr().out
    assert "docker                   no" in said
    assert "because /v2/ is below /registry" in said
    assert f"builder proxy {host.url}'" in said


def test_the_list_of_the_pages_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    files = everything()
    del files["v2/_catalog"]
    files["collections.json"] = as_json({"collections": [{"name": NAME}, {"name": "../x"}, 7]})
    with pages(files) as host:
        assert checked(host, capsys)["tags"]["listed"] == 2


def test_pages_below_a_path_and_v2_at_the_root(capsys: pytest.CaptureFixture[str]) -> None:
    with pages(everything(), Twists(root="")) as host:
        assert run(["check", "--url", f"{host.url}/pages"]) == 0
    assert "below" not in capsys.readouterr().out


CHILD = sha256(Image.of("two").manifest)
BLOB = min(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({f"v2/{NAME}/manifests/single": None}, "is in the list of tags and answers 404"),
        ({f"v2/{NAME}/manifests/single": b"[]"}, "is no manifest"),
        ({f"v2/{NAME}/manifests/{IMAGE.digest}": b"{}"}, "the bytes have the digest"),
        ({f"v2/{NAME}/manifests/{CHILD}": None}, "index needs it"),
        ({f"v2/{NAME}/blobs/{BLOB}": None}, "the single image needs it"),
        ({f"v2/{NAME}/manifests/there-is-no-such-tag": b"hello"}, "does not exist answers 200"),
    ],
)
def test_promises(
    changed: dict[str, bytes | None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path: data for path, data in (everything() | changed).items() if data is not None}
    with pages(files) as host:
        found = checked(host, capsys, 1)
    assert any(said in problem["message"] for problem in found["problems"]), found["problems"]


def test_a_wrong_blob(capsys: pytest.CaptureFixture[str]) -> None:
    blobs = {f"v2/{NAME}/blobs/{digest}": b"x" * len(raw) for digest, raw in IMAGE.blobs.items()}
    with pages(tree(IMAGE, "1") | CATALOG | blobs) as host:
        problems = checked(host, capsys, 1)["problems"]
    assert "the bytes have the digest" in problems[0]["message"]


def test_a_site_that_leads_astray(capsys: pytest.CaptureFixture[str]) -> None:
    near = {f"v2/{NAME}/manifests/single": "http://169.254.169.254/latest/meta-data"}
    with pages(everything(), Twists(redirects=near)) as host:
        problems = checked(host, capsys, 1)["problems"]
    assert "169.254.169.254" in problems[0]["message"]


@pytest.mark.parametrize("lists", [
    {}, {"v2/_catalog": b"[]"}, {"v2/_catalog": as_json({"repositories": ["../x", 7]})},
    {"v2/_catalog": b"{", "collections.json": as_json({"collections": {}})},
])  # fmt: skip
def test_a_site_without_lists(lists: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    with pages(tree(IMAGE, "1") | lists) as host:
        assert run(["check", "--url", host.url]) == 1
    assert "lists no repositories" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--url", "http://127.0.0.1:1"], 4, "cannot connect"),
        (["--url", "example.org"], 2, "is not a site"),
        (["--url", "http://127.0.0.1:1", "--strict"], 2, "--strict does not go with --url"),
        (["--url", "http://127.0.0.1:1", "--base", "main"], 2, "--base does not go with --url"),
    ],
)
def test_what_cannot_be_asked(
    arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", *arguments]) == status
    assert said in capsys.readouterr().err
