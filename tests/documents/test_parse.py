from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder.documents.discover import CollectionOptions, Default, SiteOptions, SourceFile
from builder.documents.parse import Document, output_path, parse
from builder.errors import ContentError


def read(root: Path, path: str, text: str | bytes, **options: Any) -> Document | None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    collection = path[1:].partition("/")[0] if path[1:].partition("/")[0] in options.get(
        "collections", {}
    ) else ""  # fmt: skip
    kind: Any = "document" if collection else "page"
    return parse(SourceFile(path, kind, collection), SiteOptions(root, **options))


def page(root: Path, path: str, text: str | bytes, **options: Any) -> Document:
    document = read(root, path, text, **options)
    assert document is not None
    return document


def problems(root: Path, text: str | bytes, **options: Any) -> list[str]:
    with pytest.raises(ContentError) as caught:
        read(root, "a.md", text, **options)
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_a_page(tmp_path: Path) -> None:
    text = "---\ntitle: About\nlayout: wide\ndate: 2024-01-31\nmine: 1.10\n---\n\n# Hello\n"
    document = page(tmp_path, "about.md", text)
    assert document == Document(
        source="about.md",
        url="/about/",
        output="about/index.html",
        layout="wide",
        keys={"title": "About", "layout": "wide", "date": "2024-01-31", "mine": "1.10"},
        body="# Hello",
        body_line=8,
        date=datetime(2024, 1, 31, tzinfo=UTC),
        layout_line=3,
    )
    assert document.is_markdown
    assert not page(tmp_path, "a.html", "---\n---\n<p>").is_markdown


ADDRESSES = [
    # path, front matter, site's permalink, address and output path
    ("README.md", "", "pretty", ("/", "index.html")),
    ("index.md", "", "none", ("/", "index.html")),
    ("a/README.md", "", "pretty", ("/a/", "a/index.html")),
    ("a/index.html", "x: y", "pretty", ("/a/", "a/index.html")),
    ("a/b.md", "", "pretty", ("/a/b/", "a/b/index.html")),
    ("a/b.md", "", "none", ("/a/b.html", "a/b.html")),
    ("a/b.md", "", "date", ("/a/b.html", "a/b.html")),
    ("b.md", "", "none", ("/b.html", "b.html")),
    ("a/b.md", "", "/x/:path/:basename", ("/x/a/b", "x/a/b.html")),
    ("a/b.md", "title: A Title!", "/:title/", ("/a-title/", "a-title/index.html")),
    ("a/b.md", "", "/:title:output_ext", ("/b.html", "b.html")),
    ("a/b.md", "permalink: /here/", "pretty", ("/here/", "here/index.html")),
    ("a/b.md", "permalink: here.html", "pretty", ("/here.html", "here.html")),
    ("404.md", "permalink: /404.html", "pretty", ("/404.html", "404.html")),
    ("README.md", "permalink: /start/", "pretty", ("/start/", "start/index.html")),
    ("a/b.md", "permalink: none", "pretty", ("/a/b.html", "a/b.html")),
    ("é x.md", "", "pretty", ("/%C3%A9%20x/", "é x/index.html")),
]


@pytest.mark.parametrize(("path", "keys", "permalink", "address"), ADDRESSES)
def test_addresses(
    tmp_path: Path, path: str, keys: str, permalink: str, address: tuple[str, str]
) -> None:
    document = page(tmp_path, path, f"---\n{keys}\n---\n", permalink=permalink)
    assert (document.url, document.output) == address


LAYOUTS = [
    ("README.md", "", "home"),
    ("a/README.md", "", "page"),
    ("a.md", "", "page"),
    ("a.md", "layout: wide", "wide"),
    ("a.md", "layout: none", ""),
    ("a.md", "layout: null", ""),
]


@pytest.mark.parametrize(("path", "keys", "layout"), LAYOUTS)
def test_layouts(tmp_path: Path, path: str, keys: str, layout: str) -> None:
    assert page(tmp_path, path, f"---\n{keys}\n---\n").layout == layout


def test_defaults_apply_by_scope(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "collections": {"notes": CollectionOptions(output=True)},
        "defaults": (
            Default("docs/deep", "", {"layout": "deep"}),
            Default("", "", {"layout": "all", "author": "me"}),
            Default("docs", "pages", {"layout": "docs"}),
            Default("", "notes", {"layout": "note"}),
            Default("*.html", "", {"layout": "raw"}),
        ),
    }
    layouts = {
        path: page(tmp_path, path, "---\n---\n", **options).layout
        for path in ("a.md", "docs/a.md", "docs/deep/a.md", "docsx/a.md", "_notes/a.md", "b.html")
    }
    assert layouts == {
        "a.md": "all",
        "docs/a.md": "docs",
        "docs/deep/a.md": "deep",
        "docsx/a.md": "all",
        "_notes/a.md": "note",
        "b.html": "raw",
    }
    document = page(tmp_path, "a.md", "---\nlayout: own\n---\n", **options)
    assert (document.layout, document.keys["author"]) == ("own", "me")


def test_documents_of_collections(tmp_path: Path) -> None:
    silent = {"notes": CollectionOptions()}
    loud = {"notes": CollectionOptions(output=True, permalink="/n/:title/")}
    text = "---\ntitle: The Note\n---\n"
    plain = {"notes": CollectionOptions(output=True)}
    assert page(tmp_path, "_notes/a/b.md", text, collections=plain).url == "/notes/a/b/"
    assert page(tmp_path, "_notes/a/b.md", text, collections=loud).url == "/n/the-note/"
    assert page(tmp_path, "_notes/a/b.md", text, collections=silent).output == ""


NOW = {"SOURCE_DATE_EPOCH": str(int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()))}
UNPUBLISHED: list[tuple[str, dict[str, Any], bool]] = [
    ("", {}, True),
    ("published: false", {}, False),
    ("published: false", {"unpublished": True}, True),
    ("draft: true", {}, False),
    ("draft: true", {"drafts": True}, True),
    ("date: 2024-06-02", {"environment": NOW}, False),
    ("date: 2024-06-01", {"environment": NOW}, True),
    ("date: 2024-06-02", {"environment": NOW, "future": True}, True),
    ("date: 2024-06-02", {}, True),
]


@pytest.mark.parametrize(("keys", "options", "published"), UNPUBLISHED)
def test_what_is_not_published(
    tmp_path: Path,
    keys: str,
    options: dict[str, Any],
    published: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dict(options)
    for name, value in options.pop("environment", {}).items():
        monkeypatch.setenv(name, value)
    assert (read(tmp_path, "a.md", f"---\n{keys}\n---\n", **options) is not None) is published


@pytest.mark.parametrize(
    ("keys", "redirects"),
    [
        ("redirect_from: /old/", ("/old/",)),
        ("redirect_from: [old.html, /a/b]", ("/old.html", "/a/b")),
        ("redirect_from: []", ()),
    ],
)
def test_redirects(tmp_path: Path, keys: str, redirects: tuple[str, ...]) -> None:
    assert page(tmp_path, "a.md", f"---\n{keys}\n---\n").redirect_from == redirects


REFUSED = [
    # front matter, what is said
    ("permalink: /../../etc/passwd", "a.md:2: the permalink '/../../etc/passwd' leaves"),
    ("permalink: a/./b", "a.md:2: the permalink '/a/./b' leaves"),
    ("permalink: //evil.example/", "a.md:2: the permalink '//evil.example/' has an empty part"),
    ("permalink: /a?b", "a.md:2: the permalink '/a?b' holds characters"),
    ("permalink: /%2e%2e/x", "a.md:2: the permalink '/%2e%2e/x' holds characters"),
    ("permalink: '\\\\x'", "a.md:2: the permalink '/\\\\\\\\x' holds characters"),
    ("permalink: /:year/x/", "a.md:2: the permalink's ':year' is unknown"),
    ("permalink: [a]", "a.md:2: 'permalink' must be an address"),
    ("redirect_from: /../x", "a.md:2: the redirect_from '/../x' leaves"),
    ("redirect_from: {a: b}", "a.md:2: 'redirect_from' must be"),
    ("redirect_from: [[a]]", "a.md:2: 'redirect_from' must be"),
    ("date: 2024-99-99", "a.md:2: the date '2024-99-99' is not a date"),
    ("date: [x]", "a.md:2: the date ['x'] is not a date"),
    ("published: maybe", "a.md:2: 'published' must be true or false"),
    ("title: {a: b}", "a.md:2: 'title' must be text"),
    ("layout: [a]", "a.md:2: 'layout' must be the name"),
    ("a: &x 1\nb: *x", "a.md:2: anchors"),
]


@pytest.mark.parametrize(("keys", "said"), REFUSED)
def test_mistakes_name_the_line(tmp_path: Path, keys: str, said: str) -> None:
    found = problems(tmp_path, f"---\n{keys}\n---\n")
    assert any(problem.startswith(said) for problem in found), found


def test_all_mistakes_of_a_file_are_reported(tmp_path: Path) -> None:
    text = "---\ntitle: [a]\ndate: soon\npermalink: /../\npublished: 1\n---\n"
    assert [problem.partition(" ")[0] for problem in problems(tmp_path, text)] == [
        "a.md:2:", "a.md:3:", "a.md:4:", "a.md:5:",
    ]  # fmt: skip


def test_files_that_cannot_be_pages(tmp_path: Path) -> None:
    assert "not UTF-8" in problems(tmp_path, b"\xff\xfe")[0]
    assert "too large" in problems(tmp_path, b"x" * (1 << 20 | 1))[0]


def test_numbers_as_titles_are_text(tmp_path: Path) -> None:
    assert page(tmp_path, "a.md", "---\ntitle: 2024\n---\n").keys["title"] == "2024"


@pytest.mark.parametrize(
    ("url", "output"),
    [("/", "index.html"), ("/a/", "a/index.html"), ("/a", "a.html"), ("/a.xml", "a.xml")],
)
def test_output_path(url: str, output: str) -> None:
    assert output_path(url) == output
