from __future__ import annotations

from pathlib import Path

import pytest

from builder.documents.data import load_data
from builder.documents.discover import SiteOptions
from builder.errors import ContentError


def write(root: Path, files: dict[str, str | bytes]) -> SiteOptions:
    for name, content in files.items():
        file = root / "_data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return SiteOptions(root)


def test_data_is_nested_as_its_folders_are(tmp_path: Path) -> None:
    options = write(
        tmp_path,
        {
            "menu.yml": "- title: Home\n  version: 1.10\n",
            "a/b.json": '\ufeff{"x": [1, null]}',
            "a/c/people.csv": 'name,role\nAda,"first, second"\nBob\n\n',
            "t.tsv": "a\tb\n1\t2\n",
            "empty.yaml": "",
            "none.csv": "",
            ".hidden.yml": "x: [",
        },
    )
    assert load_data(options) == {
        "menu": [{"title": "Home", "version": "1.10"}],
        "a": {
            "b": {"x": [1, None]},
            "c": {
                "people": [{"name": "Ada", "role": "first, second"}, {"name": "Bob", "role": ""}]
            },
        },
        "t": [{"a": "1", "b": "2"}],
        "empty": None,
        "none": [],
    }


def test_no_data(tmp_path: Path) -> None:
    assert load_data(SiteOptions(tmp_path)) == {}


REFUSED: list[tuple[dict[str, str | bytes], str]] = [
    ({"a.yml": "x: 1", "a.json": "{}"}, "_data/a.yml: is site.data.a, and so is _data/a.json"),
    ({"a.yml": "x: 1", "a/b.yml": "y: 1"}, "_data/a/b.yml: is site.data.a.b"),
    ({"a.yml": "x: 1\ny: &b 1\n"}, "_data/a.yml:2: anchors"),
    ({"a.yml": "x: 1\nx: 2\n"}, "_data/a.yml:2: the key 'x'"),
    ({"a.json": '{"a": 1, "A": 2}'}, "_data/a.json: keys"),
    ({"a.json": "{"}, "_data/a.json: it is not JSON"),
    ({"a.csv": "a,a\n1,2\n"}, "_data/a.csv:1: names a column twice"),
    ({"a.csv": "a,b\n1,2\n1,2,3\n"}, "_data/a.csv:3: has 3 cells"),
    ({"a.csv": 'a\n"x'}, "_data/a.csv:2: is not a table"),
    ({"a.csv": b"\xff"}, "_data/a.csv:1: is not UTF-8"),
    ({"a.toml": ""}, "_data/a.toml: is not data"),
    ({"a.json": " " * (4 << 20 | 1)}, "_data/a.json: is too large"),
]


@pytest.mark.parametrize(("files", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_mistakes_name_the_file(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    with pytest.raises(ContentError) as caught:
        load_data(write(tmp_path, files))
    shown = [f"{problem.where}: {problem.message}" for problem in caught.value.problems]
    assert any(problem.startswith(said) for problem in shown), shown


def test_all_mistakes_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        load_data(write(tmp_path, {"a.yml": "x: [", "b.json": "{", "c.csv": 'a\n"'}))
    assert len(caught.value.problems) == 3
