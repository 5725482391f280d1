"""Content discovery: lists of tags, whole and in pages."""

from __future__ import annotations

import pytest
import requests

from tests.conformance.asking import Asker, json_of
from tests.conformance.requirements import requirement
from tests.conformance.sample import MANY, MANY_TAGS, NAME, NESTED, NOBODY, UNTAGGED, Sample

pytestmark = pytest.mark.e2e

TAGS = "Listing Tags"
COUNTS = (1, 2, 9, 10, 11, 64, 65, 99, 100, 101, len(MANY_TAGS) - 1)


def tags_of(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.url
    tags = json_of(answer)["tags"]
    assert isinstance(tags, list)
    return tags


@requirement(TAGS, "MUST", "the list of a known repository is answered with 200")
def test_lists_of_tags(ask: Asker) -> None:
    for name in (NAME, MANY, NESTED):
        assert ask.list(name).status_code == 200, name


@requirement(
    TAGS, "MUST", "the body is JSON with the repository's `name` and its `tags`, all of them"
)
def test_the_shape_of_lists(ask: Asker, sample: Sample) -> None:
    body = json_of(ask.list(NAME))
    assert body["name"] == NAME
    assert sorted(body["tags"]) == sorted(sample.tags)
    assert json_of(ask.list(NESTED)) == {"name": NESTED, "tags": ["one"]}


@requirement(TAGS, "MUST", "a repository without tags has an empty list, also in pages")
def test_an_empty_list(ask: Asker) -> None:
    assert json_of(ask.list(UNTAGGED)) == {"name": UNTAGGED, "tags": []}
    assert tags_of(ask.list(UNTAGGED, n=3)) == []


@requirement(TAGS, "MUST", "the list of an unknown repository is answered with 404")
def test_the_list_of_nobody(ask: Asker) -> None:
    assert ask.list(NOBODY).status_code == 404
    assert ask.list(NOBODY, n=1).status_code == 404


@requirement(TAGS, "MUST (text of 1.1)", "tags are in lexical order, upper and lower case as one")
def test_order_regardless_of_case(ask: Asker) -> None:
    tags = tags_of(ask.list(MANY))
    assert [tag.lower() for tag in tags] == sorted(tag.lower() for tag in tags)


@requirement(TAGS, "MUST (suite of main)", "tags are in lexical order, byte by byte")
def test_order_of_bytes(ask: Asker) -> None:
    assert tags_of(ask.list(MANY)) == MANY_TAGS


@requirement(TAGS, "MUST (1.0)", "`n` is answered with exactly `n` tags while there are as many")
def test_pages_have_exactly_n_tags(ask: Asker) -> None:
    for count in COUNTS:
        assert tags_of(ask.list(MANY, n=count)) == MANY_TAGS[:count], count


@requirement(TAGS, "MUST (1.1)", "`n` is answered with `n` tags, or with fewer and a `Link`")
def test_pages_have_n_tags_or_a_link(ask: Asker) -> None:
    for count in COUNTS:
        answer = ask.list(MANY, n=count)
        tags = tags_of(answer)
        assert tags == MANY_TAGS[: len(tags)], count
        assert len(tags) == count or (len(tags) < count and "Link" in answer.headers), count


@requirement(TAGS, "MUST", "an `n` of at least the number of tags is answered with all of them")
def test_large_pages(ask: Asker) -> None:
    for count in (len(MANY_TAGS), len(MANY_TAGS) + 1, 1000, 10**12):
        assert tags_of(ask.list(MANY, n=count)) == MANY_TAGS, count


@requirement(TAGS, "MUST", "`n=0` is answered with an empty list")
def test_an_empty_page(ask: Asker) -> None:
    assert tags_of(ask.list(MANY, n=0)) == []
    assert tags_of(ask.list(MANY, n=0, last=MANY_TAGS[0])) == []


@requirement(TAGS, "MUST NOT", "`n=0` is answered without a `Link`")
def test_an_empty_page_has_no_link(ask: Asker) -> None:
    answer = ask.list(MANY, n=0)
    assert answer.status_code == 200
    assert "Link" not in answer.headers


@requirement(TAGS, "MUST", 'a `Link`, where it is sent, is one of RFC 5988 with `rel="next"`')
def test_links_are_links(ask: Asker) -> None:
    for count in COUNTS:
        link = ask.list(MANY, n=count).headers.get("Link", '<>; rel="next"')
        target, _, relation = link.partition(">;")
        assert target.startswith("<"), link
        assert relation.strip() == 'rel="next"', link


@requirement(TAGS, "MAY", "a page that is not the last has a `Link`, the last has none")
def test_links_lead_on(ask: Asker) -> None:
    for count in COUNTS:
        assert "Link" in ask.list(MANY, n=count).headers, count
    assert "Link" not in ask.list(MANY, n=len(MANY_TAGS)).headers
    assert "Link" not in ask.list(MANY, n=5, last=MANY_TAGS[-6]).headers


@requirement(TAGS, "MAY", "following every `Link` shows each tag once, in order")
def test_following_links(ask: Asker) -> None:
    for count in (7, 50, 64):
        answer = ask.list(MANY, n=count)
        seen = tags_of(answer)
        while link := answer.headers.get("Link"):
            answer = ask.follow(link)
            seen += tags_of(answer)
            assert len(seen) <= len(MANY_TAGS), count
        assert seen == MANY_TAGS, count


@requirement(TAGS, "MUST", "`last` and `n` are answered with up to `n` tags after `last`")
def test_pages_after_last(ask: Asker) -> None:
    for at in (0, 1, 60, len(MANY_TAGS) - 3, len(MANY_TAGS) - 1):
        for count in (1, 5, 64, 1000):
            found = tags_of(ask.list(MANY, n=count, last=MANY_TAGS[at]))
            assert found == MANY_TAGS[at + 1 : at + 1 + count], (at, count)


@requirement(TAGS, "MUST NOT", "the tag that `last` names is not in the answer")
def test_last_is_left_out(ask: Asker) -> None:
    for tag in MANY_TAGS:
        assert tag not in tags_of(ask.list(MANY, n=3, last=tag)), tag


@requirement(TAGS, "MUST", "`n` is optional beside `last`: all tags after it are the answer")
def test_last_alone(ask: Asker) -> None:
    for at in (0, 3, len(MANY_TAGS) - 1):
        assert tags_of(ask.list(MANY, last=MANY_TAGS[at])) == MANY_TAGS[at + 1 :], at
