"""The search index: its columns, its files of words, and the words themselves."""

from __future__ import annotations

import json
from random import Random

import pytest

from builder.pages import plan, search, words
from builder.pages.model import PageOptions
from builder.registry.model import Row
from tests.pages.samples import Maker

LONG = tuple(f"1.{number}" for number in range(20))


def test_columns_belong_to_rows() -> None:
    found = search.columns([
        Row("a/one", "a/one", platforms=("linux/arm64", "linux/amd64"), tags=LONG),
        Row("a/two", "Two", yanked=("1", "2"), deprecated="why", platforms=("linux/amd64",)),
    ])  # fmt: skip
    assert found["name"] == ["a/one", "a/two"]
    assert found["title"] == ["", "Two"], "a title that is the name is not said twice"
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    assert found["on"] == [[1, 0], [0]]
    assert found["tags"][0].split() == list(LONG[:12])
    assert (found["yanked"], found["deprecated"]) == ({1: "1 2"}, [1])


def test_further_tags_words_and_digests_are_in_files_of_their_own() -> None:
    row = Row("a", "A", tags=LONG, tag_digests=("0123456789abcdef", *[""] * 19))
    (shard,) = search.word_shards([row], ["solver"]).values()
    assert shard["words"] == {"solver": [0]}
    assert list(shard["tags"]) == list(LONG[12:])
    assert shard["digests"] == {"0123456789": [0, "1.0"]}


@pytest.mark.parametrize(("count", "names"), [(1, {"all"}), (201, {"s"}), (2_001, {"so"})])
def test_files_of_words_are_split_by_first_letters(count: int, names: set[str]) -> None:
    assert set(search.word_shards([Row("a", "A")] * count, ["solver"] * count)) == names


@pytest.mark.parametrize(
    ("term", "depth", "name"),
    [
        ("Solver", 2, "so"),
        ("s", 2, "other"),
        ("ü", 1, "other"),
        ("../x", 1, "other"),
        ("x", 0, "all"),
    ],
)  # fmt: skip
def test_names_of_files_are_letters_and_digits(term: str, depth: int, name: str) -> None:
    assert search.shard_of(term, depth) == name


def test_the_index_says_which_files_there_are() -> None:
    row = Row("a", "<script>&", tags=("1",), tag_digests=("",))
    files = {path: body for path, body, _ in search.Index().files([row], ["solver"])}
    body = files["search.json"]
    assert not {b"<", b">", b"&"} & {body[at : at + 1] for at in range(len(body))}
    found = json.loads(body)
    assert found["title"] == ["<script>&"]
    assert (found["parts"], found["shards"]) == (["search.json"], ["all"])
    assert files.keys() == {"search.json", "search/words/all.json"}


@pytest.mark.parametrize("count", [4, 300, 2_100])
def test_an_index_that_was_kept_is_the_one_that_is_made_anew(count: int) -> None:
    random = Random(count)  # noqa: S311 - the same every time
    vocabulary = [f"{random.choice('abcxyz')}{random.choice('stü')}{n}" for n in range(40)]
    rows = [Row(f"t/{n:04}", "A") for n in range(count)]
    words = ["\n".join(random.sample(vocabulary, 3)) for _ in rows]
    kept = search.Index()
    for step in range(20):
        words[random.randrange(count)] = "\n".join(random.sample(vocabulary, random.randrange(4)))
        if step % 5 == 4:
            rows[random.randrange(count)] = Row(f"t/{step}", "A", tags=LONG, tag_digests=("",) * 20)
        known = list(kept.files([*rows], [*words]))
        assert known == list(search.Index().files([*rows], [*words]))


def test_what_is_not_known_is_left_out_of_collections_json() -> None:
    made = json.loads(search.collections_json([Row("a", "A")], PageOptions(title="T")))
    (found,) = made["collections"]
    assert found["tags"] == []
    assert "license" not in found


@pytest.mark.parametrize(
    ("texts", "known", "found"),
    [
        (["The Solver, the_big-one"], "", ("solver", "thebigone", "big")),
        (["see https://example.org/hidden [text](path/hidden)"], "see", ("text",)),
        (["tool Tool TOOL"], "tool", ()),
        (["x " + "y" * 33 + " 日本語"], "", ("日本語",)),
    ],
)  # fmt: skip
def test_words(texts: list[str], known: str, found: tuple[str, ...]) -> None:
    assert words.search_words(texts, known) == found


@pytest.mark.parametrize(
    ("text", "cut"),
    [("short", "short"), ("some words that go on", "some words…"), ("a" * 20, "a" * 11 + "…")],
)
def test_descriptions_end_after_a_word(text: str, cut: str) -> None:
    assert words.cut(text, 12) == cut


def test_a_label_is_found_by_its_whole_name() -> None:
    labels = ["org.example.Label-3", "org.opencontainers.image.source", "maintainer", "a.b" * 40]
    assert words.whole_names(labels) == ("org.example.label3",)
    assert len(words.whole_names(f"org.example.n{n}" for n in range(1_000))) == 30
    maker = Maker("team/tool")
    maker.tag(
        "1",
        maker.image(
            [("x", 9)],
            config={
                "Labels": {
                    "org.example.label-3": "blue",
                    "org.example.api_token": "none",
                    "org.example.empty": "",
                }
            },
        ),
    )
    collection = maker.done()
    found = plan.found_by(collection, plan.row(collection, {}), plan.facts(collection))
    assert found.split() == [
        "org.example.label3", "org.example.empty", "label3", "label", "blue", "empty"
    ]  # fmt: skip
