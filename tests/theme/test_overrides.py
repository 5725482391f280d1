"""What a registry changes of the theme: by config, a style sheet, a block, a file of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.theme.find import packaged_theme
from builder.theme.sources import INCLUDES, LAYOUTS
from tests.conftest import write_tree

THEME = packaged_theme()
BLOCK = re.compile(r"\{% block ([a-z_]+) %\}")
LAYOUT_FILES = sorted((THEME / LAYOUTS).glob("*.html"))
GUIDE = (Path(__file__).parents[2] / "docs/reference/theme.md").read_text()
PAGES = {
    "collection": "vanessa/greeting/index.html", "tag": "vanessa/greeting/tags/latest/index.html",
    "home": "index.html", "namespace": "vanessa/index.html", "browse": "browse/index.html",
    "search": "search/index.html", "api": "api/index.html", "404": "404.html",
    "page": "about/index.html", "default": "index.html",
}  # fmt: skip


def blocks(layout: str) -> list[str]:
    return BLOCK.findall((THEME / LAYOUTS / f"{layout}.html").read_text())


@pytest.mark.parametrize("layout", PAGES)
def test_every_block_can_be_changed_alone(
    layout: str, greeting: Path, build: Callable[..., int]
) -> None:
    write_tree(greeting, {"about.md": "---\ntitle: About\n---\nText.\n"})
    names = blocks(layout)
    assert names
    for name in names:
        text = (
            f'{{% extends "theme/{layout}.html" %}}{{% block {name} %}}MINE-{name}{{% endblock %}}'
        )
        write_tree(greeting, {f"_layouts/{layout}.html": text})
        assert build() == 0
        page = (greeting / "_site" / PAGES[layout]).read_text()
        assert f"MINE-{name}" in page
        if layout != "default":
            assert 'class="top"' in page  # the layout around it is kept
    row = f"| `{layout}` | {', '.join(f'`{name}`' for name in names)} |"
    assert row in GUIDE.splitlines(), f"docs/reference/theme.md has no line {row}"


def test_files_are_written_for_people() -> None:
    for file in [*LAYOUT_FILES, *(THEME / INCLUDES).glob("*.html")]:
        lines = file.read_text().splitlines()
        assert max(map(len, lines)) <= 120, file.name
        if file.parent.name == INCLUDES:
            assert lines[0].startswith("{# "), f"{file.name} does not say what it is given"


def test_settings(greeting: Path, build: Callable[..., int]) -> None:
    (greeting / "_config.yml").write_text(
        "accent: '#8a2be2'\nlogo: /logo.svg\nnav:\n- {title: Tools, url: /browse/}\n"
    )
    write_tree(greeting, {"assets/custom.css": ".brand{color:red}", "logo.svg": "<svg/>"})
    assert build() == 0
    page = (greeting / "_site/index.html").read_text()
    sheets = re.findall(r'rel="stylesheet" href="/([^"]+)"', page)
    assert [name.split("/")[1].split(".")[0] for name in sheets] == ["style", "accent", "custom"]
    assert "#8a2be2" in (greeting / "_site" / sheets[1]).read_text()
    assert '<img src="/logo.svg"' in page
    assert '<a href="/browse/">Tools</a>' in page
    assert ">API</a>\n    </nav>" not in page
    (greeting / "_config.yml").write_text("title: Plain\n")
    (greeting / "assets/custom.css").unlink()
    assert build() == 0
    page = (greeting / "_site/index.html").read_text()
    assert len(re.findall('rel="stylesheet"', page)) == 1
    assert not list((greeting / "_site/assets").glob("accent*"))


@pytest.mark.parametrize("text", ["accent: 'red;}'", "nav: [{title: A}]", "nav: [home]"])
def test_settings_that_are_none(
    text: str, greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    (greeting / "_config.yml").write_text(f"title: T\n{text}\n")
    assert build() == 1
    assert "_config.yml:2: " in capfd.readouterr().err


def test_an_accent_that_is_a_comment_is_said(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    (greeting / "_config.yml").write_text("title: T\naccent: #8a2be2\n")
    assert build() == 0
    assert "_config.yml:2: warning: accent is empty" in capfd.readouterr().err


def test_eject(greeting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["theme", "eject", "tags.html", "-s", str(greeting)]) == 0
    ejected = greeting / "_includes/tags.html"
    assert ejected.read_bytes() == (THEME / "_includes/tags.html").read_bytes()
    ejected.write_text("mine")
    assert run(["theme", "eject", "_includes/tags.html", "-s", str(greeting)]) == 1
    assert ejected.read_text() == "mine"
    assert run(["theme", "eject", "no.html", "-s", str(greeting)]) == 2
    capsys.readouterr()
    assert run(["theme", "list", "-s", str(greeting)]) == 0
    said = capsys.readouterr().out
    assert "own        _includes/tags.html" in said
    assert "packaged   _layouts/tag.html" in said


def test_pages_are_made_again_by_other_code(
    greeting: Path, build: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build() == 0
    page = greeting / "_site/vanessa/greeting/index.html"
    before = page.read_text()
    for module in ("builder.pages.renderer", "builder.build.pipeline"):
        monkeypatch.setattr(f"{module}.code_key", lambda: "another version")
    monkeypatch.setattr(
        "builder.theme.templates.Templates.render", lambda *_: b"<p>made by other code</p>"
    )
    assert build() == 0
    assert page.read_text() != before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"_layouts/collection.html": '{% extends "theme/collection.html" %}\n\n  Hello'},
            "_layouts/collection.html:3: text outside of blocks is not shown",
        ),
        (
            {"_includes/footer.html": "x"},
            "_includes/footer.html: warning: no template includes this",
        ),
        ({"assets/style.css": "a{}"}, "note: assets/style.css replaces the theme's style sheet"),
        (
            {"_config.yml": "title: T\nlogo: /none.svg\n"},
            "_config.yml:2: warning: '/none.svg' leads to nothing that is published",
        ),
        (
            {"_config.yml": "title: T\nnav:\n- {title: A, url: /api/}\n- {title: B, url: /b/}\n"},
            "_config.yml:4: warning: '/b/' leads to nothing that is published",
        ),
    ],
)
def test_what_changes_nothing_or_too_much_is_said(
    files: dict[str, str], said: str, greeting: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(greeting, files)
    run(["build", "-s", str(greeting)])
    assert said in capfd.readouterr().err


def test_a_menu_of_the_site_s_pages(registry: Path, build: Callable[..., int]) -> None:
    menu = (
        "{% for item in site.pages | sort(attribute='url') %}"
        "<{{ item.title | default(item.url) }} {{ item.weight | default(0) }}>{% endfor %}"
    )
    write_tree(registry, {
        "_layouts/page.html": menu,
        "about.md": "---\ntitle: About us\nweight: 3\n---\n",
        "more.md": "---\nlayout: page\n---\n",
    })  # fmt: skip
    assert build() == 0
    page = (registry / "_site/about/index.html").read_text()
    assert page == "<About us 3></more/ 0>"


def test_the_file_of_a_page(greeting: Path, build: Callable[..., int]) -> None:
    said = (
        "{{ page.path }} {{ page.crumb }}{% for item in site.pages %} {{ item.path }}{% endfor %}"
    )
    names = ("page", "collection", "tag", "namespace", "search")
    write_tree(greeting, {f"_layouts/{name}.html": said for name in names})
    write_tree(greeting, {"text/about.md": "---\ntitle: About\n---\n"})
    assert build() == 0
    for path, file, crumb in (
        ("text/about", "text/about.md", "About"),
        ("vanessa/greeting", "collections/vanessa/greeting/README.md", "Greeting"),
        ("vanessa/greeting/tags/latest", "", "latest"),
        ("vanessa", "", "vanessa"),
        ("search", "", "Search"),
    ):
        page = (greeting / "_site" / path / "index.html").read_text()
        assert page == f"{file} {crumb} text/about.md", path
