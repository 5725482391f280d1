from __future__ import annotations

import pytest

from builder.errors import UsageError
from builder.oci.reference import Reference, name_fault, tag_fault

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("greeting", Reference("greeting", "latest")),
        ("vanessa/greeting:1.0", Reference("vanessa/greeting", "1.0")),
        ("a/b/c/d:_x", Reference("a/b/c/d", "_x")),
        ("a__b/c.d/e---f:V1", Reference("a__b/c.d/e---f", "V1")),
    ],
)
def test_parsed(text: str, expected: Reference) -> None:
    assert Reference.parse(text, tag="latest") == expected
    assert Reference.parse(str(expected)) == expected


def test_by_digest() -> None:
    reference = Reference.parse(f"a@sha256:{HEX}", tag="latest")
    assert (reference.tag, reference.digest) == ("", f"sha256:{HEX}")
    assert str(reference) == f"a@sha256:{HEX}"


@pytest.mark.parametrize(
    "text",
    ["", ":x", "a:", "a:b:c", "A", "a//b", "/a", "a/", "a:-x", "a:x/y", "a@", "a@sha256", "a b",
     "a@sha256:zz", "host.example:5000/a:x", "a\n", "a:x\n", "../a", "a:" + "x" * 129],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Reference.parse(text)


@pytest.mark.parametrize("name", ["v2/x", "api", "a/tags", "a/manifests/b", "con", "a/lpt1.x"])
def test_names_that_are_taken(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("tag", [f"sha256-{HEX}", "index.html", "INDEX.JSON", "nul", ".x", "é"])
def test_tags_that_are_taken(tag: str) -> None:
    assert tag_fault(tag)


def test_signatures_of_a_digest_are_ordinary_tags() -> None:
    assert tag_fault(f"sha256-{HEX}.sig") == ""
