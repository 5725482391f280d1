"""Who may change what, and names that look like others."""

from __future__ import annotations

import pytest

from builder.pull_requests.owners import find_owners, parse_owners
from builder.pull_requests.squatting import likeness

TEXT = """\
# who owns what
*                       @maintainer
collections/open/       *
collections/vanessa/    @Vanessa @org/science   # a person and a team
collections/vanessa/secret  @maintainer
/collections/*/shared/  @anna
"""


@pytest.mark.parametrize(
    ("author", "path", "may"),
    [
        ("vanessa", "collections/vanessa/greeting/README.md", True),
        ("@VANESSA", "collections/vanessa/greeting/README.md", True),
        ("org/science", "collections/vanessa/x", True),
        ("mallory,org/science", "collections/vanessa/x", True),
        ("mallory", "collections/vanessa/x", False),
        ("vanessa", "collections/vanessa/secret/x", False),  # the last line counts
        ("maintainer", "collections/vanessa/secret/x", True),
        ("anybody", "collections/open/x/y", True),
        ("anybody", "collections/opened/x", False),
        ("anna", "collections/lab/shared/manifests/1/manifest.json", True),
        ("anna", "collections/lab/deep/shared/x", False),
        ("maintainer", "_config.yml", True),
        ("", "collections/vanessa/x", False),
    ],
)
def test_the_last_rule_that_matches_counts(author: str, path: str, may: bool) -> None:  # noqa: FBT001
    assert parse_owners(TEXT, "OWNERS").may_change(author, path) is may


def test_what_no_rule_names_is_nobody_s() -> None:
    owners = parse_owners("collections/a/ @a\n", "OWNERS")
    assert owners.of("collections/b/x") is None
    assert not owners.may_change("a", "collections/b/x")


def test_gitlab_s_sections_are_read_through() -> None:
    owners = parse_owners("[Docs][2] @x\ncollections/a/ @a\n^[Optional]\n", "CODEOWNERS")
    assert [rule.pattern for rule in owners.rules] == ["collections/a/"]


def test_as_in_codeowners_a_star_is_one_folder_deep() -> None:
    owners = parse_owners("collections/a/* @a\n", "CODEOWNERS")
    assert owners.may_change("a", "collections/a/README.md")
    assert not owners.may_change("a", "collections/a/deep/README.md")


def test_everybody_is_nobody_s_name() -> None:
    owners = parse_owners("* *\n", "OWNERS")
    assert owners.may_change("x", "a")
    assert not owners.owns("*", "a")


@pytest.mark.parametrize(
    ("files", "path", "owner"),
    [
        ({"OWNERS": "x @a", "CODEOWNERS": "x @b"}, "x", "a"),
        ({".github/CODEOWNERS": "x @a", "CODEOWNERS": "x @b"}, "x", "a"),
        ({"site/OWNERS": "/x @a"}, "site/x", "a"),
        ({"CODEOWNERS": "/site/x @a"}, "site/x", "a"),
        ({"OWNERS": "* @a"}, "site/x", None),  # another registry's
    ],
)
def test_where_owners_are_found(files: dict[str, str], path: str, owner: str | None) -> None:
    def read(name: str) -> bytes | None:
        return files[name].encode() if name in files else None

    found = find_owners(read, "site/" if path.startswith("site/") else "")
    assert (found.of(path) if found else None) == (frozenset({owner}) if owner else None)


NAMES = (
    "vanessa/greeting",
    "vanessa/python3",
    "library/lolcow",
    "lab/a-b",
    "lab/tools/x",
    "gnome/x",
)


@pytest.mark.parametrize(
    ("name", "other", "certain"),
    [
        ("vanesa/anything", "vanessa", True),
        ("vannessa/anything", "vanessa", True),
        ("vaness4/anything", "vanessa", True),
        ("1ibrary/x", "library", True),
        ("gnorne/x", "gnome", True),
        ("vanessa/greet1ng", "vanessa/greeting", True),
        ("vanessa/greetnig", "vanessa/greeting", False),
        ("vanessa/greetings", "vanessa/greeting", False),
        ("lab/ab", "lab/a-b", True),
        ("lab/a.b", "lab/a-b", True),
        ("lab/t00ls/y", "lab/tools", True),
        ("vanessa/Greeting", "vanessa/greeting", True),
        ("vanessa/python4", "", False),  # a version, not a slip
        ("vanessa/greeting", "", False),  # itself
        ("vanessa", "", False),  # the namespace of what is there
        ("vanessa/greeting/more", "", False),
        ("vanessa/hello", "", False),
        ("new/greeting", "", False),  # a namespace of its own
    ],
)
def test_names_that_look_like_others(name: str, other: str, certain: bool) -> None:  # noqa: FBT001
    found = likeness(name, NAMES)
    assert (found.taken if found else "") == other
    assert (found is not None and found.certain) is certain
