from __future__ import annotations

from pathlib import Path

import pytest

from builder.text.addresses import Addresses, Anchors, dead_anchors, forge_url
from builder.text.links import Links

FILES = (
    "collections/README.md", "collections/a/README.md", "collections/a/map.png",
    "collections/a/one/README.md", "collections/a/one/manifests/1.0/manifest.json",
    "collections/a/one/manifests/1.0/README.md", "collections/a/one/manifests/todo/Dockerfile",
    "collections/a/one/notes.md", "collections/a/one/a.png", "collections/a/one/img/b c.png",
    "collections/a/one/img/c.svg", "collections/a/two/readme.md", "collections/b/three/oci-layout",
    "collections/b/plain.png", "LICENSE", "docs/logo.png", "guide/intro.md", "_site/x.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registry")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def addresses(root: Path, repository: str = "") -> Addresses:
    return Addresses(
        root,
        files={
            "README.md": "/", "guide/intro.md": "/guide/intro/", "guide/next.md": "/guide/next/",
            "guide/more/index.md": "/guide/more/", "old.html": "/old.html", "logo.png": "/logo.png",
            "assets/x.svg": "/assets/x.svg",
        },
        collections=frozenset({"a/one", "a/two", "b/three"}),
        namespaces=frozenset({"a"}),
        pictures=frozenset({"a/map.png", "a/one/a.png", "a/one/img/b c.png"}),
        apps=frozenset({"a/two"}),
        others=frozenset({"/browse/*", "/search/", "/was/"}),
        repository=repository,
    )  # fmt: skip


def links(
    root: Path,
    source: str = "collections/a/one/README.md",
    address: str = "/a/one/",
    repository: str = "",
) -> tuple[Links, list[str]]:
    warnings: list[str] = []
    known = addresses(root, repository)
    made = Links("/base", source, address, known, lambda _, said: warnings.append(said))
    return made, warnings


OUTSIDE = [
    # written, published (None: nowhere); none is a question to the map
    ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
    ("HTTP://Example.org", "http://Example.org"),
    ("mailto:me@example.org", "mailto:me@example.org"),
    ("//example.org/x", "https://example.org/x"),
    ("\\\\example.org", "https://example.org"),
    ("/\\example.org", "https://example.org"),
    ("/\t/example.org", "https://example.org"),
    ("javascript:alert(1)", None),
    ("java\nscript:alert(1)", None),
    ("\x01javascript:alert(1)", None),
    ("data:text/html,x", None),
    ("file:///etc/passwd", None),
    ("C:\\x", None),
    ("#usage", "#user-content-usage"),
    ("#user-content-usage", "#user-content-usage"),
    ("#", "#"),
]


@pytest.mark.parametrize(("written", "published"), OUTSIDE)
def test_what_is_not_of_this_site_needs_no_map(
    registry: Path, written: str, published: str | None
) -> None:
    made, warnings = links(registry)
    assert made.href(written) == published
    assert (warnings, made.answers) == ([], [])


ONE, HOME, INTRO, TAG, SPACE = (
    ("collections/a/one/README.md", "/a/one/"),
    ("README.md", "/"),
    ("guide/intro.md", "/guide/intro/"),
    ("collections/a/one/manifests/1.0/README.md", "/a/one/tags/1.0/"),
    ("collections/a/README.md", "/a/"),
)
HREFS = [
    # page, written, published
    # links as they work where the file lies
    (HOME, "guide/intro.md", "/guide/intro/"),
    (HOME, "./guide/intro.md#what", "/guide/intro/#user-content-what"),
    (HOME, "guide/more", "/guide/more/"),
    (HOME, "collections", "/browse/"),
    (HOME, "collections/a/one/README.md", "/a/one/"),
    (HOME, "collections/a/one", "/a/one/"),
    (HOME, "collections/a/two/README.md#usage", "/a/two/#user-content-usage"),
    (HOME, "collections/a/", "/a/"),
    (HOME, "collections/b/", "/b/"),
    (HOME, "collections/a/one/manifests/1.0/README.md", "/a/one/tags/1.0/"),
    (HOME, "collections/a/one/manifests/1.0/manifest.json", "/a/one/manifests/1.0/"),
    (HOME, "collections/a/one/manifests", "/a/one/"),
    (HOME, "old.html#part", "/old.html#part"),
    (HOME, "assets/x.svg", "/assets/x.svg"),
    (INTRO, "next.md", "/guide/next/"),
    (INTRO, "../README.md", "/"),
    (INTRO, "/guide/next.md", "/guide/next/"),
    (INTRO, "../logo.png", "/logo.png"),
    (ONE, "", "/a/one/"),
    (ONE, "README.md#build", "/a/one/#user-content-build"),
    (ONE, "../two/", "/a/two/"),
    (ONE, "../two/#usage", "/a/two/#user-content-usage"),
    (ONE, "../two/?x=1#usage", "/a/two/?x=1#user-content-usage"),
    (ONE, "../../../guide/intro.md", "/guide/intro/"),
    (ONE, "/collections/a/two/README.md", "/a/two/"),
    (ONE, "../README.md", "/a/"),
    (ONE, "img/b%20c.png", "/a/one/img/b%20c.png"),
    (TAG, "../../README.md", "/a/one/"),
    (TAG, "../todo/", "/a/one/tags/todo/"),
    (SPACE, "one/README.md", "/a/one/"),
    # addresses of the site
    (HOME, "a/one/", "/a/one/"),
    (HOME, "/a/one", "/a/one/"),
    (HOME, "/base/a/one/", "/a/one/"),
    (HOME, "browse/name/2/", "/browse/name/2/"),
    (HOME, "/was/", "/was/"),
    (ONE, "tags/1.0/", "/a/one/tags/1.0/"),
    (ONE, "tags/", "/a/one/tags/"),
    (ONE, "manifests/1.0/", "/a/one/tags/1.0/"),
    (ONE, "/b/three/tags/any/", "/b/three/tags/any/"),
    (ONE, "/a/two/1.0/start.html", "/a/two/1.0/start.html"),
    (ONE, "../two/feed.xml", "/a/two/feed.xml"),
    (INTRO, "../more/", "/guide/more/"),
]


@pytest.mark.parametrize(("page", "written", "published"), HREFS)
def test_links_lead_where_the_same_thing_is_published(
    registry: Path, page: tuple[str, str], written: str, published: str
) -> None:
    made, warnings = links(registry, *page)
    assert made.href(written) == f"/base{published}"
    assert warnings == []
    assert addresses(registry).hold(made.answers)


UNPUBLISHED = [
    (ONE, "manifests/todo/Dockerfile", "collections/a/one/manifests/todo/Dockerfile"),
    (ONE, "notes.md", "collections/a/one/notes.md"),
    (ONE, "../../../LICENSE#mit", "LICENSE#mit"),
    (HOME, "LICENSE", "LICENSE"),
    (HOME, "docs/", "docs"),
]


@pytest.mark.parametrize(("page", "written", "path"), UNPUBLISHED)
def test_files_that_are_not_published_are_shown_by_the_forge(
    registry: Path, page: tuple[str, str], written: str, path: str
) -> None:
    made, warnings = links(registry, *page, repository="https://github.com/me/it")
    assert made.href(written) == f"https://github.com/me/it/blob/main/{path}"
    assert warnings == []
    made, warnings = links(registry, *page)
    assert made.href(written) is None
    assert [written in said and "'repository'" in said for said in warnings] == [True]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        *((way, "leaves the site") for way in ("../../../../x", "/..", "%2e%2e/../../../x")),
        *((way, "leaves the site") for way in ("a/../../../../../b", "..\\..\\..\\..\\etc")),
        *((way, "leads to nothing") for way in ("x", "../none/", "tags/9/", "/about/")),
        *((way, "leads to nothing") for way in ("/_site.x", "%2F%2Fevil.example", "é", "a b\"<>'")),
    ],
)
def test_what_is_nowhere_is_a_warning_and_no_link(registry: Path, written: str, said: str) -> None:
    made, warnings = links(registry)
    assert made.href(written) is None
    assert warnings == [
        f"the link {written!r} {said}" + " that is published" * (said[0:5] == "leads")
    ]


PICTURES = [
    (HOME, "logo.png", "/logo.png"),
    (HOME, "/logo.png", "/logo.png"),
    (HOME, "collections/a/one/a.png", "/a/one/a.png"),
    (INTRO, "../logo.png", "/logo.png"),
    (ONE, "a.png", "/a/one/a.png"),
    (ONE, "img/b%20c.png?raw=true", "/a/one/img/b%20c.png?raw=true"),
    (ONE, "../map.png", "/a/map.png"),
    (ONE, "../../../logo.png", "/logo.png"),
    (TAG, "../../a.png", "/a/one/a.png"),
    (SPACE, "map.png", "/a/map.png"),
]


@pytest.mark.parametrize(("page", "written", "published"), PICTURES)
def test_pictures_are_where_they_are_published(
    registry: Path, page: tuple[str, str], written: str, published: str
) -> None:
    made, warnings = links(registry, *page)
    assert made.src(written) == f"/base{published}"
    assert warnings == []


@pytest.mark.parametrize(
    ("page", "written"),
    [(ONE, "no.png"), (ONE, "img/c.svg"), (ONE, "../two/"), (ONE, "../../../../x.png"),
     (HOME, "docs/logo.png"), (HOME, "collections/b/plain.png")],
)  # fmt: skip
def test_pictures_that_are_not_published_are_a_warning(
    registry: Path, page: tuple[str, str], written: str
) -> None:
    for repository in ("", "https://github.com/me/it"):
        made, warnings = links(registry, *page, repository=repository)
        assert made.src(written) is None
        assert len(warnings) == 1


@pytest.mark.parametrize("written", ["", "mailto:x@example.org", "data:image/svg+xml,x"])
def test_what_is_no_picture_is_none(registry: Path, written: str) -> None:
    made, warnings = links(registry)
    assert made.src(written) is None
    assert warnings == []


def test_answers_tell_when_something_came_or_went(tmp_path: Path) -> None:
    before = addresses(tmp_path)
    made = Links("", "README.md", "/", before, lambda *_: None)
    made.href("collections/a/one/manifests/1.0/")
    assert before.hold(made.answers)
    (tmp_path / "collections/a/one/manifests/1.0").mkdir(parents=True)
    assert not before.hold(made.answers)


def test_without_a_map_links_are_addresses() -> None:
    made = Links("/base", "x.md", "/guide/x/", None, lambda *_: None)
    assert made.href("y#z") == "/base/guide/x/y#user-content-z"
    assert made.href("/about/") == "/base/about/"
    assert made.href("//") == "/base/"
    assert made.href("https:///") is None


@pytest.mark.parametrize(
    ("repository", "action", "url"),
    [
        ("https://github.com/a/b", "view", "https://github.com/a/b/blob/main/x%20y.md"),
        ("https://github.com/a/b/", "edit", "https://github.com/a/b/edit/main/x%20y.md"),
        ("https://gitlab.com/a/b", "view", "https://gitlab.com/a/b/-/blob/main/x%20y.md"),
        ("https://gitlab.example/a", "edit", "https://gitlab.example/a/-/edit/main/x%20y.md"),
        ("https://codeberg.org/a/b", "view", "https://codeberg.org/a/b/src/branch/main/x%20y.md"),
        ("https://codeberg.org/a/b", "edit", "https://codeberg.org/a/b/_edit/main/x%20y.md"),
        ("https://git.example/a/b", "view", ""),
        ("", "view", ""),
    ],
)
def test_forges_show_and_edit_files(repository: str, action: str, url: str) -> None:
    assert forge_url(repository, "main", "x y.md", action) == url


def test_links_to_headings_of_other_texts_are_checked() -> None:
    one = Anchors("collections/a/one/README.md", "/a/one/", ("usage",), ((3, "/a/two/", "build"),))
    two = Anchors("collections/a/two/README.md", "/a/two/", ("x",), ((5, "/a/one/", "usage"),))
    away = Anchors("about.md", "/about/", (), ((1, "/v2/", "nobody-knows"),))
    (dead,) = dead_anchors([one, two, away])
    assert str(dead).startswith("collections/a/one/README.md:3: ")
    assert "'#build' leads to no heading of /a/two/" in dead.message
    assert dead.warning
