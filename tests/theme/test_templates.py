from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from markupsafe import Markup

from builder.documents.discover import assets_of
from builder.errors import ContentError
from builder.storage.cache import Cache
from builder.theme.closure import Uses
from builder.theme.find import linked_assets
from builder.theme.sources import read_sources
from builder.theme.templates import TemplateOptions, Templates


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def templates(
    tmp_path: Path,
    own: Mapping[str, str | bytes],
    theme: Mapping[str, str | bytes] | None = None,
    assets: Mapping[str, str] | None = None,
) -> Templates:
    source = write(tmp_path / "source", own)
    packaged = source if theme is None else write(tmp_path / "theme", theme)
    options = TemplateOptions(
        source, packaged, baseurl="/base", url="https://example.org", assets=assets or {}
    )
    return Templates(options, Cache(None))


def problems(tmp_path: Path, own: Mapping[str, str | bytes]) -> list[str]:
    with pytest.raises(ContentError) as caught:
        templates(tmp_path, own)
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


CHAIN = {
    "_layouts/default.html": "<html>{% include 'head.html' %}{{ content }}</html>\n",
    "_layouts/page.html": "---\nlayout: default\nkind: p\n---\n"
    "<h1>{{ page.title }}</h1>{{ content }}{{ layout.kind }}",
    "_layouts/manifests/singularity.html": "---\nlayout: page\n---\n<i>{{ content }}</i>",
    "_includes/head.html": "<title>{{ page.title }}</title>",
}


def test_layouts_chain_as_jekylls_do(tmp_path: Path) -> None:
    made = templates(tmp_path, CHAIN)
    assert made.names() == {"default", "page", "manifests/singularity"}
    page = made.render("manifests/singularity", {"page": {"title": "<a>"}}, Markup("<b>é</b>"))
    assert page.decode() == (
        "<html><title>&lt;a&gt;</title><h1>&lt;a&gt;</h1><i><b>é</b></i>p</html>\n"
    )


def test_no_layout_is_the_content_alone(tmp_path: Path) -> None:
    assert templates(tmp_path, CHAIN).render("", {}, Markup("<b>")) == b"<b>"


def test_own_files_come_before_the_themes_and_may_extend_them(tmp_path: Path) -> None:
    theme = {
        "_layouts/default.html": "[{{ content }}]",
        "_layouts/page.html": "---\nlayout: default\n---\n<{% block b %}theme{% endblock %}>"
        "{% include 'foot.html' %}",
        "_includes/foot.html": "theme's",
    }
    own = {
        "_layouts/page.html": "{% extends 'theme/page.html' %}"
        "{% block b %}own+{{ super() }}{% endblock %}",
        "_includes/foot.html": "own",
    }
    made = templates(tmp_path, own, theme)
    assert made.render("page", {}, Markup("")) == b"[<own+theme>own]"
    assert made.names() == {"default", "page"}


BROKEN = [
    # file, source, what is said
    ("page.html", "a\n{% if %}", "_layouts/page.html:2: is not valid Jinja"),
    (
        "page.html",
        "---\nx: 1\n---\n\na\n{{ a | nofilter }}",
        "_layouts/page.html:6: is not valid Jinja",
    ),
    (
        "page.html",
        "---\nx: 1\n---\n{% assign a = 1 %}",
        "_layouts/page.html:4: {% assign %} is Liquid",
    ),
    ("page.html", "---\nlayout: nowhere\n---\n", "_layouts/page.html:2: the parent 'nowhere'"),
    (
        "page.html",
        "a\n{% include 'no.html' %}",
        "_layouts/page.html:2: there is no template 'no.html'",
    ),
    (
        "page.html",
        "{% extends 'no.html' %}",
        "_layouts/page.html:1: there is no template 'no.html'",
    ),
    ("page.html", "---\nlayout: page\n---\n", "_layouts/page.html:1: the layouts form a cycle"),
    ("page.html", "{% extends 'page.html' %}", "_layouts/page.html:1: the layouts form a cycle"),
    ("page.html", b"\xff\xfe-\0", "_layouts/page.html:1: is not UTF-8"),
    ("page.html", "---\nlayout: a\n", "_layouts/page.html:1: the front matter"),
]


@pytest.mark.parametrize(("name", "source", "said"), BROKEN)
def test_mistakes_name_file_and_line(
    tmp_path: Path, name: str, source: str | bytes, said: str
) -> None:
    found = problems(tmp_path, {f"_layouts/{name}": source})
    assert any(problem.startswith(said) for problem in found), found


PACKAGED = {"_layouts/page.html": "{% block text %}{{ content }}{% endblock %}"}


def extending(tmp_path: Path, blocks: str) -> Templates:
    own = {"_layouts/page.html": f"{{% extends 'theme/page.html' %}}\n{blocks}"}
    return templates(tmp_path, own, PACKAGED)


def test_a_block_that_nothing_shows_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        extending(tmp_path, "{% block texts %}1{% endblock %}\n{% block other %}{% endblock %}")
    assert [str(problem) for problem in caught.value.problems] == [
        "_layouts/page.html:2: theme/page.html has no block 'texts'\n  hint: did you mean 'text'?",
        "_layouts/page.html:3: theme/page.html has no block 'other'\n  hint: it has text",
    ]


@pytest.mark.parametrize(
    "blocks",
    [
        "{% block text %}{% block mine %}1{% endblock %}{% endblock %}",
        "{% block mine %}{% endblock %}{% block text %}1{{ self.mine() }}{% endblock %}",
    ],
)
def test_another_block_may_show_a_new_one(tmp_path: Path, blocks: str) -> None:
    assert extending(tmp_path, blocks).render("page", {}, Markup("old")) == b"1"


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "_layouts/a.html": "---\nlayout: b\n---\n{% if %}",
            "_layouts/c.html": "{% unless x %}{% endunless %}",
            "_includes/d.html": b"\xff",
            "_includes/e.html": "---\nlayout: a\n---\n",
        },
    )
    assert [problem.split(":")[0] for problem in found] == [
        "_includes/d.html",
        "_includes/e.html",
        "_layouts/a.html",
        "_layouts/a.html",
        "_layouts/c.html",
        "_layouts/c.html",
    ]


def test_cycles_through_extends_and_layout_are_seen(tmp_path: Path) -> None:
    own = {
        "_layouts/a.html": "{% extends 'b.html' %}",
        "_layouts/b.html": "---\nlayout: c\n---\n",
        "_layouts/c.html": "---\nlayout: a\n---\n",
    }
    assert any("a → c → a" in problem for problem in problems(tmp_path, own))


def test_links_and_twins_are_problems(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"_layouts/a.html": "", "_includes/a.html": ""})
    (source / "_layouts" / "b.html").symlink_to("/etc/passwd")
    (source / "_includes" / "dir").symlink_to("/etc")
    assert problems(tmp_path, {}) == [
        "_includes/a.html: has the same name as _layouts/a.html",
        "_includes/dir: is not a regular file, so it is no template",
        "_layouts/b.html: is not a regular file, so it is no template",
    ]


def test_hidden_files_and_backups_are_no_templates(tmp_path: Path) -> None:
    made = templates(tmp_path, {"_layouts/.a.html.swp": b"\xff", "_layouts/a.html~": "{% if %}"})
    assert made.names() == frozenset()


RUNTIME = [
    ("a\n{{ page.nothing }}", "has no attribute 'nothing'"),
    ("a\n{{ nothing }}", "'nothing' is undefined"),
    ("a\n{{ 1 / 0 }}", "division by zero"),
    ("a\n{{ 'x' + 1 }}", "str"),
    ("a\n{% for n in range(10000000) %}{% endfor %}", "Range too big"),
    ("a\n{% include 'page.html' %}", "endlessly"),
    ("a\n{{ 'no.css' | asset_url }}", "no asset 'no.css'"),
    ("a\n{% set x = page['title'].nothing.more %}", "nothing"),
]


@pytest.mark.parametrize(("source", "said"), RUNTIME)
def test_what_fails_while_rendering_names_layout_line_and_page(
    tmp_path: Path, source: str, said: str
) -> None:
    made = templates(tmp_path, {"_layouts/page.html": f"---\nk: v\n---\n{source}"})
    context = {"page": {"title": "t", "source": "docs/a.md"}}
    with pytest.raises(ContentError) as caught:
        made.render("page", context, Markup(""))
    (problem,) = caught.value.problems
    assert problem.where == "_layouts/page.html:5"
    assert said in problem.message
    assert "docs/a.md" in problem.message


def test_an_unknown_layout_is_the_pages_problem(tmp_path: Path) -> None:
    made = templates(tmp_path, CHAIN)
    with pytest.raises(ContentError, match=r"a\.md: 'pages' is not a page layout\n.*'page'\?"):
        made.render("pages", {"page": {"source": "a.md"}}, Markup(""))


def test_data_is_never_a_template(tmp_path: Path) -> None:
    made = templates(tmp_path, {"_layouts/page.html": "{{ page.title }}{{ content }}"})
    page = made.render("page", {"page": {"title": "{{ 7*7 }}<b>"}}, Markup("{% raw %}{{ 7*7 }}"))
    assert page == b"{{ 7*7 }}&lt;b&gt;{% raw %}{{ 7*7 }}"


def test_markdownify_is_safe(tmp_path: Path) -> None:
    made = templates(tmp_path, {"_layouts/page.html": "{{ page.text | markdownify }}"})
    page = made.render("page", {"page": {"text": "*a* <script>x</script>"}}, Markup(""))
    assert page == b"<p><em>a</em> </p>"


FINGERPRINTED = {
    "_layouts/default.html": "{{ content }}{{ 'style.css' | asset_url }}",
    "_layouts/page.html": "---\nlayout: default\n---\n{% include 'a.html' %}",
    "_layouts/list.html": "{% include page.name %}",
    "_layouts/alone.html": "{% import 'm.html' as m %}{{ m.f() }}",
    "_includes/a.html": "a",
    "_includes/b.html": "b",
    "_includes/m.html": "{% macro f() %}{% endmacro %}",
}
ASSETS = {"style.css": "assets/style.1.css", "app.js": "assets/app.1.js"}
CHANGES = [
    # changed file, layouts whose pages change
    ("_layouts/default.html", {"default", "page", "list"}),
    ("_layouts/page.html", {"page", "list"}),
    ("_includes/a.html", {"page", "list"}),
    ("_includes/b.html", {"list"}),
    ("_includes/m.html", {"alone", "list"}),
    ("_layouts/alone.html", {"alone", "list"}),
]


@pytest.mark.parametrize(("changed", "layouts"), CHANGES)
def test_fingerprints_follow_what_is_reached(
    tmp_path: Path, changed: str, layouts: set[str]
) -> None:
    before = templates(tmp_path / "1", FINGERPRINTED, assets=ASSETS)
    edited = {**FINGERPRINTED, changed: FINGERPRINTED[changed] + "x"}
    after = templates(tmp_path / "2", edited, assets=ASSETS)
    differing = {n for n in before.names() if before.fingerprint(n) != after.fingerprint(n)}
    assert differing == layouts


def test_fingerprints_follow_the_assets_that_are_linked(tmp_path: Path) -> None:
    before = templates(tmp_path / "1", FINGERPRINTED, assets=ASSETS)
    script = templates(
        tmp_path / "2", FINGERPRINTED, assets={**ASSETS, "app.js": "assets/app.2.js"}
    )
    style = templates(tmp_path / "3", FINGERPRINTED, assets={**ASSETS, "style.css": "assets/2.css"})
    assert before.fingerprint("page") == script.fingerprint("page")
    assert before.fingerprint("page") != style.fingerprint("page")


SITE = [
    ("{{ site.title }}{{ site['data'].x }}", {"title", "data"}),
    ("{% for a in site.pages %}{{ a }}{% endfor %}", {"pages"}),
    ("{% include 'inner.html' %}", {"time"}),
    ("{% set s = site %}{{ s.x }}", None),
    ("{{ site | jsonify }}", None),
    ("{{ site[page.key] }}", None),
    ("{% include page.name %}", {"time"}),
    ("{{ page.site }}{{ page.title }}", set()),
    ("{% set site = page %}{{ site.a }}", {"a"}),
]


@pytest.mark.parametrize(("source", "attributes"), SITE)
def test_what_a_layout_reads_of_the_site(
    tmp_path: Path, source: str, attributes: set[str] | None
) -> None:
    own = {"_layouts/page.html": source, "_includes/inner.html": "{{ site.time }}"}
    assert templates(tmp_path, own).site_attributes("page") == attributes


def test_linked_assets(tmp_path: Path) -> None:
    source = write(
        tmp_path / "source",
        {
            "_layouts/a.html": "{{ 'a.css' | asset_url }}{{\"b.js\"|asset_url}}",
            "assets/own.css": "",
        },
    )
    theme = write(
        tmp_path / "theme",
        {"_layouts/b.html": "{{ 'img/c.svg' | asset_url }}{% if %}", "assets/d.css": ""},
    )

    def linked() -> set[str]:
        files = assets_of(source, theme)
        return linked_assets(read_sources(source, theme, []).values(), files)

    assert linked() == {"a.css", "b.js", "img/c.svg"}
    write(source, {"_includes/x.html": "{{ page.logo | asset_url }}"})
    assert linked() == {"own.css", "d.css"}


def test_a_second_run_knows_what_templates_read(tmp_path: Path) -> None:
    layout = (
        "{% extends 'base.html' %}{% block main %}{{ site.title }}{{ site['rows'] }}"
        "{% include ['none.html', 'head.html'] ignore missing %}{{ 'a.css' | asset_url }}"
        "{% endblock %}"
    )
    own = {
        "_layouts/base.html": "{% block main %}{% endblock %}",
        "_layouts/page.html": layout,
        "_layouts/whole.html": "{{ site | list }}{{ name | asset_url }}",
        "_includes/head.html": "head",
    }
    source = write(tmp_path / "source", own)
    options = TemplateOptions(source, source, assets={"a.css": "assets/a.1.css"})
    cache = Cache(tmp_path / "cache.sqlite")
    runs = []
    for _ in range(2):
        made = Templates(options, cache)
        found = cache.drain()
        runs.append(
            [
                (made.fingerprint(name), made.site_attributes(name), made._linked([f"{name}.html"]))
                for name in sorted(made.names())
            ]
        )
        cache.save(found)
        kept = [] if len(runs) == 2 else found
        assert all(Uses.from_text(value.decode()).to_text().encode() == value for _, value in kept)
    assert not found, "the second run found nothing new"
    assert runs[0] == runs[1]
    site = {"title": "T", "rows": "R"}
    assert made.render("page", {"site": site}, Markup()) == b"TRhead/assets/a.1.css"


def test_a_mistake_in_a_template_is_said_in_every_run(tmp_path: Path) -> None:
    own = {"_layouts/a.html": "{{ 1 | nofilter }}", "_layouts/b.html": "{% if %}"}
    source = write(tmp_path / "source", own)
    cache = Cache(tmp_path / "cache.sqlite")
    for _ in range(2):
        with pytest.raises(ContentError) as caught:
            Templates(TemplateOptions(source, source), cache)
        assert len(caught.value.problems) == 2
        cache.save(cache.drain())


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ value }}", "a&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ plain }}", "plain"),
        ("{{ safe }}", "<i>"),
        ("{{ 3 }} {{ none }} {{ [plain] }}", "3 None [&#39;plain&#39;]"),
        ("{{ plain ~ value }}", "plaina&lt;b&gt;&amp;&#39;&#34;"),
        ("{% set x %}{{ value }}{% endset %}{{ x }}", "a&lt;b&gt;&amp;&#39;&#34;"),
        ("{% set x %}{{ plain }}<b>{% endset %}{{ x }}", "plain<b>"),
        ("{% macro m(v) %}<b>{{ v }}{% endmacro %}{{ m(plain) }}{{ m('<') }}", "<b>plain<b>&lt;"),
        (
            "{% macro m() %}<b>{{ caller() }}{% endmacro %}{% call m() %}{{ plain }}<{% endcall %}",
            "<b>plain<",
        ),
        ("{% filter upper %}{{ plain }}{{ '<' }}{% endfilter %}", "PLAIN&LT;"),
        (
            "{% for n in tree recursive %}<{{ n.x }}{{ loop(n.below) }}>{% endfor %}",
            "<plain<&amp;>>",
        ),
        ("{% block b %}{{ plain }}<{% endblock %}{{ self.b() }}", "plain<plain<"),
        ("{% include 'part.html' %}", "plain<b>&lt;"),
    ],
)
def test_what_is_printed_is_escaped_once(tmp_path: Path, text: str, made: str) -> None:
    own = {"_layouts/t.html": text, "_includes/part.html": "{{ plain }}<b>{{ '<' }}"}
    values = {
        "value": "a<b>&'\"", "plain": "plain", "safe": Markup("<i>"), "none": None,
        "tree": [{"x": "plain", "below": [{"x": "&", "below": []}]}],
    }  # fmt: skip
    assert templates(tmp_path, own).render("t", values, Markup()).decode() == made
