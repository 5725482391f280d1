"""What nginx makes of the files that its target writes: odd names, long lists, hostile queries."""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests

from builder.output import Entry
from builder.targets import Address, open_target
from tests.hosts import nginx_of, run_nginx
from tests.images import MANIFEST, Image

pytestmark = pytest.mark.e2e
DIGEST = "sha256:" + "a" * 64
ALPHABET = "-._0129AZaz"
NAMES = (
    "a",
    "a-b",
    "a-b/c.d/e__f/g---h",
    "a/b",
    "0/1.2-3_4",
    "types/map/default/include",
    "n" * 120 + "/" + "m" * 120,
)
TAGS = ("_", "0", "Tag", "v1.0_rc-1", "default", "hostnames", "T" * 128, "1..2--3__4")


def write_lists(folder: Path, lists: dict[str, list[str]]) -> Path:
    """Write what nginx needs to page lists, as a build of so many tags would; return the site."""
    site = folder / "site"
    entries = [Entry("v2/_catalog", "application/json", (), DIGEST, 2)]
    for name, tags in lists.items():
        entries += (Entry(f"v2/{name}/manifests/{tag}", MANIFEST, (), DIGEST, 2) for tag in tags)
        entries.append(Entry(f"v2/{name}/tags/list", "application/json", (), DIGEST, 2))
        (site / f"v2/{name}/tags").mkdir(parents=True)
        (site / f"v2/{name}/tags/list").write_text(json.dumps({"name": name, "tags": tags}))
    (site / "v2/_catalog").write_text(json.dumps({"repositories": sorted(lists)}))
    (folder / "site.nginx").mkdir()
    for file in open_target("nginx").side_files(entries, Address()):
        (folder / "site.nginx" / file.path).write_bytes(file.data)
    return site


def odd_tags(count: int) -> list[str]:
    chance = random.Random(7)  # noqa: S311 - the same tags each time, no secret
    found: set[str] = set()
    while len(found) < count:
        rest = (chance.choice(ALPHABET) for _ in range(chance.randrange(9)))
        found.add(chance.choice(ALPHABET[2:]) + "".join(rest))
    return sorted(found)


def expected(items: list[str], count: int | None, last: str) -> tuple[list[str], bool]:
    """Return the page that the specification asks for, and whether more follow."""
    rest = items[bisect_right(items, last) :]
    if count is None:
        return rest, False
    return rest[:count], 0 < count < len(rest)


def differences(
    url: str, key: str, items: list[str], questions: Iterable[tuple[int | None, str]]
) -> list[Any]:
    wrong = []
    with requests.Session() as session:
        for count, last in questions:
            asked = {"n": count, "last": last or None}
            answer = session.get(url, params=asked, timeout=10)
            found = answer.json()[key] if answer.ok else [f"answered with {answer.status_code}"]
            link = answer.headers.get("Link", "")
            if (found, bool(link)) != expected(items, count, last):
                wrong.append((count, last, found))
            if link and f"last={items[items.index(found[-1])]}>" not in link:
                wrong.append((count, last, link))
    return wrong


def test_every_page_of_long_lists(tmp_path: Path) -> None:
    tags = odd_tags(1234)
    few = odd_tags(7)
    chance = random.Random(8)  # noqa: S311 - the same questions each time, no secret
    counts = (None, 0, 1, 9, 10, 99, 100, 101, 999, 1000, 1001, 1233, 1234, 1235, 98765)
    others = ["-", "~", "zzzzz", "A" * 128, *(tag[:-1] for tag in tags[:20] if len(tag) > 1)]
    others += [tag + chance.choice(ALPHABET) for tag in tags[::100]]
    questions = [(chance.choice(counts), chance.choice([*tags, *others, ""])) for _ in range(200)]
    with nginx_of(write_lists(tmp_path, {"big/one": tags, "small": few}), tmp_path) as host:
        assert differences(f"http://{host}/v2/big/one/tags/list", "tags", tags, questions) == []
        assert differences(f"http://{host}/v2/small/tags/list", "tags", few, questions) == []


def test_every_page_of_a_long_catalogue(tmp_path: Path) -> None:
    names = sorted(f"{a}{b}/{c}" for a in ("x", "x-y", "x/y") for b in range(30) for c in range(9))
    lasts = ["", "x", "x/", "x-y0/", "x-y0/0/0", "x/y1/9", "z", *names[::40]]
    questions = [(count, last) for count in (None, 0, 1, 50, 809, 810) for last in lasts]
    with nginx_of(write_lists(tmp_path, {name: ["1"] for name in names}), tmp_path) as host:
        url = f"http://{host}/v2/_catalog"
        assert differences(url, "repositories", names, questions) == []
        raw = requests.get(f"{url}?n=1&last=x/y1/8", timeout=10).json()
        assert raw == {"repositories": ["x/y10/0"]}


def test_lists_cost_lines_and_not_files() -> None:
    """A thousand tags are three lines of a list, ten thousand repositories one line each."""
    target = open_target("nginx")

    def lines(lists: dict[str, list[str]]) -> int:
        entries = []
        for name, tags in lists.items():
            entries += [
                Entry(f"v2/{name}/manifests/{tag}", MANIFEST, (), DIGEST, 2) for tag in tags
            ]
            entries.append(Entry(f"v2/{name}/tags/list", "application/json", (), DIGEST, 2))
        (config, _) = target.side_files(entries, Address())
        return sum(b"/tags/list\" '" in line for line in config.data.splitlines())

    assert lines({"big": [f"{number:04}" for number in range(1000)]}) == 2
    assert lines({f"n/{number:05}": ["1.0", "1.1", "latest"] for number in range(10_000)}) == 10_000


def test_odd_names(registry: Path, tmp_path: Path) -> None:
    images = [Image.of(tag) for tag in TAGS]
    for name in NAMES:
        for tag, image in zip(TAGS, images, strict=True):
            image.tag(registry / "collections" / name, tag)
    with run_nginx(registry, tmp_path) as host, requests.Session() as session:
        for name in NAMES:
            base = f"http://{host}/v2/{name}"
            assert session.get(f"{base}/tags/list", timeout=10).json()["tags"] == sorted(TAGS)
            assert differences(f"{base}/tags/list", "tags", sorted(TAGS), [(3, "0")]) == []
            for tag, image in zip(TAGS, images, strict=True):
                answer = session.get(f"{base}/manifests/{tag}", timeout=10)
                assert answer.content == image.manifest, (name, tag)
                assert answer.headers["Docker-Content-Digest"] == image.digest, (name, tag)
                assert answer.headers["Content-Type"] == MANIFEST, (name, tag)


@pytest.mark.parametrize(
    "query",
    [
        'n=2&last=a"],"x":["',
        "n=2&last=%22%5D",
        "last=a|b",
        "last=|",
        "n=1&last=$uri",
        "n=1&last=%0d%0aX-Evil:%20yes",
        "last=../../..",
        "n=1&n=x",
        "last=" + "a" * 4000,
    ],
)
def test_hostile_pages(tmp_path: Path, query: str) -> None:
    tags = ["1", "2", "3"]
    with nginx_of(write_lists(tmp_path, {"a/b": tags}), tmp_path) as host:
        answer = requests.get(f"http://{host}/v2/a/b/tags/list?{query}", timeout=10)
        assert answer.status_code == 200
        assert set(json.loads(answer.content)) == {"name", "tags"}
        assert set(answer.json()["tags"]) <= set(tags)
        assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    "kind",
    ["../../../../index.json", "%2e%2e%2f%2e%2e", "a/b$uri", "application/x%00", "/", "a" * 4000],
)
def test_hostile_filters(nginx: str, kind: str) -> None:
    url = f"http://{nginx}/v2/vanessa/greeting/referrers/{DIGEST}?artifactType={kind}"
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    assert answer.json()["manifests"] == []
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"


def test_pages_of_other_sites_may_read(nginx: str) -> None:
    url = f"http://{nginx}/v2/vanessa/greeting/manifests/latest"
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    answer = requests.options(url, headers=asked, timeout=10)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    answer = requests.get(url, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Docker-Content-Digest" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Methods" not in answer.headers


def test_what_changes_is_not_kept_for_ever(nginx: str) -> None:
    base = f"http://{nginx}/v2/vanessa/greeting"
    answer = requests.get(f"{base}/manifests/latest", timeout=10)
    digest = answer.headers["Docker-Content-Digest"]
    assert "immutable" not in answer.headers["Cache-Control"]
    assert "immutable" not in requests.get(f"{base}/tags/list", timeout=10).headers["Cache-Control"]
    for kind, immutable in (("manifests", True), ("blobs", True), ("referrers", False)):
        found = requests.get(f"{base}/{kind}/{digest}", timeout=10).headers["Cache-Control"]
        assert ("immutable" in found) == immutable, kind
