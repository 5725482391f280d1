from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from builder.documents.discover import (
    CollectionOptions,
    SiteOptions,
    assets_of,
    discover,
    index_folder,
)
from builder.errors import ContentError, LocalError
from builder.output import MARKER


def tree(root: Path, *names: str, **contents: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(contents.get(name, ""))
    return root


def found(root: Path, **options: Any) -> list[tuple[str, str]]:
    return [(file.kind, file.path) for file in discover(SiteOptions(root, **options))]


def messages(root: Path, **options: Any) -> list[str]:
    with pytest.raises(ContentError) as caught:
        discover(SiteOptions(root, **options))
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_jekylls_rules(tmp_path: Path) -> None:
    tree(
        tmp_path, "README.md", "about.md", "CNAME", "robots.txt", "img/a b.png", "docs/x.md",
        "guide/index.md", "guide/.hidden", "guide/_draft.md", "guide/#x#", "guide/x~", ".env",
        "_config.yml", "_layouts/a.html", "_includes/b.html", "_data/a/b.yml", "_site/index.html",
        "_blobs/x", ".builder-cache/x", ".git/config", "node_modules/a.js", "guide/node_modules/b",
        "vendor/x", "collections/a/README.md", "assets/style.css", "builder/x.py", "tests/x.py",
        "Makefile", "pyproject.toml", "LICENSE", "CHANGELOG.md", "SECURITY.md", "x.egg-info/PKG",
    )  # fmt: skip
    assert found(tmp_path) == [
        ("static", "CNAME"),
        ("page", "README.md"),
        ("data", "_data/a/b.yml"),
        ("page", "about.md"),
        ("page", "guide/index.md"),
        ("static", "img/a b.png"),
        ("static", "robots.txt"),
    ]


INCLUDE_EXCLUDE = [
    # include, exclude, what is found
    ((), (), ["a.md", "b/c.md", "b/d/e.md"]),
    ((), ("b",), ["a.md"]),
    ((), ("b/",), ["a.md"]),
    ((), ("/b/d",), ["a.md", "b/c.md"]),
    ((), ("*.md",), []),
    ((), ("b/*",), ["a.md"]),
    ((), ("**/e.md",), ["a.md", "b/c.md"]),
    ((), ("**/a.md",), ["b/c.md", "b/d/e.md"]),
    (("docs",), (), ["a.md", "b/c.md", "b/d/e.md", "docs/f.md"]),
    ((".well-known",), (), [".well-known/security.txt", "a.md", "b/c.md", "b/d/e.md"]),
    (("_pages/g.md",), (), ["_pages/g.md", "a.md", "b/c.md", "b/d/e.md"]),
    (("b/c.md",), ("b",), ["a.md", "b/c.md"]),
    ((".git", "collections", "_blobs"), ("b",), ["a.md"]),
]


@pytest.mark.parametrize(("include", "exclude", "paths"), INCLUDE_EXCLUDE)
def test_include_and_exclude(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], paths: list[str]
) -> None:
    tree(
        tmp_path, "a.md", "b/c.md", "b/d/e.md", "docs/f.md", "_pages/g.md", "_pages/h.md",
        ".well-known/security.txt", ".git/config", "collections/x/README.md", "_blobs/y",
    )  # fmt: skip
    assert [path for _, path in found(tmp_path, include=include, exclude=exclude)] == paths


def test_html_is_a_page_only_with_front_matter(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("---\ntitle: x\n---\n<p>")
    (tmp_path / "b.html").write_bytes(b"\xef\xbb\xbf---\n---\n")
    (tmp_path / "c.html").write_text("<p>")
    assert found(tmp_path) == [("page", "a.html"), ("page", "b.html"), ("static", "c.html")]


def test_jekyll_collections_and_drafts(tmp_path: Path) -> None:
    tree(tmp_path, "_notes/a.md", "_notes/sub/b.md", "_notes/c.png", "_other/d.md", "_drafts/e.md")
    options = SiteOptions(
        tmp_path, collections={"notes": CollectionOptions(output=True)}, drafts=True
    )
    files = discover(options)
    assert [(file.kind, file.path, file.collection) for file in files] == [
        ("page", "_drafts/e.md", ""),
        ("document", "_notes/a.md", "notes"),
        ("static", "_notes/c.png", "notes"),
        ("document", "_notes/sub/b.md", "notes"),
    ]
    assert [file.published_path for file in files][2] == "notes/c.png"


def test_the_destination_is_never_read(tmp_path: Path) -> None:
    tree(tmp_path, "public/index.html", "a.md")
    for destination in ("public", "./public/", str(tmp_path / "public")):
        files = found(tmp_path, destination=destination, include=("public",))
        assert files == [("page", "a.md")]
    assert len(found(tmp_path, destination=str(tmp_path.parent / "public"))) == 2


def test_what_another_build_wrote_is_never_read(tmp_path: Path) -> None:
    tree(tmp_path, "a.md", "public/.builder-site", "public/a/index.html", "public.nginx/http.conf",
         "public.txt", "guide/out/.builder-site", "guide/out/b.html", "guide/c.md")  # fmt: skip
    pages = [("page", "a.md"), ("page", "guide/c.md"), ("static", "public.txt")]
    assert found(tmp_path) == pages
    assert found(tmp_path, include=("public",)) == pages


def test_a_link_named_like_what_another_build_wrote_is_still_a_link(tmp_path: Path) -> None:
    tree(tmp_path, f"public/{MARKER}", "elsewhere/x.md")
    (tmp_path / "public.old").symlink_to("elsewhere")
    assert messages(tmp_path) == [
        "public.old: is a symbolic link, which is not followed",
    ]


def test_links_are_problems_and_are_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "a.md")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert messages(tmp_path) == [
        "folder: is a symbolic link, which is not followed",
        "link.md: is a symbolic link, which is not followed",
        "pipe: is neither a file nor a folder",
    ]
    assert found(tmp_path, exclude=("link.md", "folder", "pipe")) == [("page", "a.md")]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot be read"):
        discover(SiteOptions(tmp_path / "nowhere"))


def test_names_that_no_address_can_hold(tmp_path: Path) -> None:
    for name in (b"a\nb.md", b"a\\b.md", b"\xff.md"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    assert len(messages(tmp_path)) == 3


def test_a_folder_has_one_index(tmp_path: Path) -> None:
    tree(tmp_path, "README.md", "index.md", "a/readme.md", "b/index.markdown")
    assert messages(tmp_path) == ["index.md: is the page of its folder, and so is README.md"]
    assert len(found(tmp_path, exclude=("README.md",))) == 3


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("README.md", ""),
        ("a/b/index.md", "a/b/"),
        ("a/index.html", "a/"),
        ("a/README.html", None),
        ("a/b.md", None),
    ],
)
def test_index_folder(path: str, folder: str | None) -> None:
    assert index_folder(path) == folder


def test_assets_overlay_the_themes(tmp_path: Path) -> None:
    theme = tree(tmp_path / "theme", "assets/style.css", "assets/js/a.js", "assets/.x", "assets/_y")
    own = tree(tmp_path / "own", "assets/style.css", "assets/logo.svg")
    assert assets_of(own, theme) == {
        "js/a.js": theme / "assets/js/a.js",
        "logo.svg": own / "assets/logo.svg",
        "style.css": own / "assets/style.css",
    }
    assert list(assets_of(theme, theme)) == ["js/a.js", "style.css"]
    assert assets_of(tmp_path, tmp_path) == {}


def test_assets_that_cannot_be_published(tmp_path: Path) -> None:
    tree(tmp_path, "assets/main.scss")
    (tmp_path / "assets" / "link.css").symlink_to("/etc/passwd")
    with pytest.raises(ContentError) as caught:
        assets_of(tmp_path, tmp_path)
    assert [problem.path for problem in caught.value.problems] == [
        "assets/link.css",
        "assets/main.scss",
    ]


def test_a_private_key_is_not_published(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n"
    other = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    public = "-----BEGIN PUBLIC KEY-----\n"
    names = (
        "release.key",
        "img/id_rsa",
        "notes.txt",
        "release.pub",
        "assets/deep/a.pem",
        "_site/x.key",
    )
    contents = dict.fromkeys(names, key) | {
        "img/id_rsa": f"\ufeff{other}",
        "notes.txt": f"The key of the site:\r\n\r\n{key}",
        "release.pub": public,
    }
    tree(tmp_path, *names, **contents)
    message = "is a private key, which would be published"
    private = ("img/id_rsa", "notes.txt", "release.key")
    assert messages(tmp_path) == [f"{path}: {message}" for path in private]
    with pytest.raises(ContentError, match=r"assets/deep/a\.pem: is a private key"):
        assets_of(tmp_path, tmp_path / "theme")
    assert ("static", "release.pub") in found(tmp_path, exclude=("*.key", "img", "*.txt"))
