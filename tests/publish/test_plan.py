from __future__ import annotations

import pytest

from builder.output import Entry
from builder.publish.plan import (
    STAGES,
    PublishOptions,
    cache_control,
    in_half,
    in_order,
    is_content,
    stage_of,
    staying,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("path", "stage", "content", "cached"),
    [
        (f"v2/a/b/blobs/{DIGEST}", "blobs", True, "immutable, no-transform"),
        (f"v2/a/b/manifests/{DIGEST}", "manifests", True, "immutable, no-transform"),
        (f"v2/a/b/referrers/{DIGEST}", "referrers", False, "max-age=60, no-transform"),
        ("v2/a/b/manifests/latest", "tags and lists", False, "max-age=60, no-transform"),
        ("v2/a/b/tags/list", "tags and lists", False, "max-age=60, no-transform"),
        ("v2/_catalog", "tags and lists", False, "max-age=60, no-transform"),
        ("v2/", "tags and lists", False, "max-age=60, no-transform"),
        ("index.html", "pages", False, "no-cache"),
        (f"a/b/blobs/{DIGEST}/index.json", "pages", False, "no-cache"),
        ("assets/site.669f824174.js", "pages", False, "immutable"),
        (f"api/release/{'a' * 64}.json", "pages", True, "immutable"),
        ("api/releases/7.json", "pages", False, "no-cache"),
        ("release.json", "pointer", False, "no-cache"),
    ],
)
def test_what_a_path_is(path: str, stage: str, *, content: bool, cached: str) -> None:
    assert STAGES[stage_of(path)] == stage
    assert is_content(path) == content
    assert cache_control(path).endswith(cached)


def test_what_points_comes_after_what_it_points_to() -> None:
    paths = ["index.html", "release.json", f"v2/a/manifests/{DIGEST}", "v2/a/manifests/1",
             f"v2/a/blobs/{DIGEST}", f"v2/a/referrers/{DIGEST}"]  # fmt: skip
    entries = [Entry(path, "text/plain", (), DIGEST, 1) for path in paths]
    assert [entry.path for entry in in_order(entries)] == [
        f"v2/a/blobs/{DIGEST}", f"v2/a/manifests/{DIGEST}", f"v2/a/referrers/{DIGEST}",
        "v2/a/manifests/1", "index.html", "release.json",
    ]  # fmt: skip


def test_halves() -> None:
    assert in_half("v2/a", "v2")
    assert not in_half("v2/a", "pages")
    assert in_half("index.html", "pages")
    assert in_half("v2/a", "")
    assert in_half("index.html", "")


@pytest.mark.parametrize(
    ("keep", "grace", "extra", "stay"),
    [
        (2, 0, 0, [3, 4]),
        (2, 0, 1, [4]),
        (9, 0, 1, [1, 2, 3, 4]),
        (2, 150, 0, [2, 3, 4]),  # the second was replaced 100 seconds ago
        (2, 1000, 1, [1, 2, 3, 4]),
    ],
)
def test_releases_that_stay(keep: int, grace: float, extra: int, stay: list[int]) -> None:
    made = [(1, 600.0), (2, 800.0), (3, 900.0), (4, 950.0)]
    options = PublishOptions(time="", name="", keep=keep, grace=grace)
    assert staying(made, 1000.0, options, extra=extra) == stay
