from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import ContentError
from builder.text import engine
from builder.text.addresses import Addresses
from builder.text.markdown import (
    ENGINES,
    GFM,
    PYTHON_MARKDOWN,
    MarkdownRenderer,
    Rendered,
    engine_key,
)

NAME = "vanessa/greeting"
Render = Callable[..., Rendered]


@pytest.fixture(params=ENGINES)
def render(request: pytest.FixtureRequest) -> Render:
    """Return a function that renders a README, for each engine."""

    def rendered(text: str, *, files: tuple[str, ...] = ()) -> Rendered:
        pictures = frozenset(f"{NAME}/{file}" for file in files)
        others = frozenset({"/logo.png"})
        known = Addresses(Path(), collections=frozenset({NAME}), pictures=pictures, others=others)
        return MarkdownRenderer(request.param, "/base", known).render(
            text, path=f"collections/{NAME}/README.md", first_line=5, address=f"/{NAME}/"
        )

    return rendered


SHOWN = [
    # text, what must be in the page
    ("a *b* **c** `d` ~~e~~", "<em>b</em> <strong>c</strong> <code>d</code> <del>e</del>"),
    ("```\nplain *x*\n```", '<div class="highlight"><pre><code>plain *x*\n</code></pre></div>'),
    ("```python\nx = 1\n```", '<span class="mi">1</span>'),
    ("```no-such-language\n<b>\n```", '<code class="language-no-such-language">&lt;b&gt;'),
    ('```bash title="x"\nls\n```', '<code class="language-bash">ls'),
    ("- a\n\n    ```\n    b\n    ```", "<pre><code>b\n</code></pre>"),
    ("| a | b |\n|---|--:|\n| 1 | 2 |", '<td class="align-right">2</td>'),
    ("- [ ] a\n- [x] b", '<span role="img" aria-label="done">☑</span> b'),
    ("## What's new?", '<h2 id="user-content-whats-new">What\'s new?'),
    ("## a\n\n## a", 'id="user-content-a-1"'),
    ("text\n\n# late title", "<h2 id="),
    ('a\n\n<h1 align="center">x</h1>', '<h2 id="user-content-x" class="align-center">x'),
    ("a\n\n## \U0001f680 Quick start", 'id="user-content--quick-start"'),
    ("a\n\n## :rocket: Quick start", 'id="user-content-rocket-quick-start"'),
    ("a\n\n## caf\u00e9 b_c-d 2.0", 'id="user-content-caf\u00e9-b_c-d-20"'),
    ("a :tada: `:tada:`", "a \U0001f389 <code>:tada:</code>"),
    (
        "> [!NOTE]\n> mind *this*",
        '<div class="admonition note"><p class="admonition-title">Note</p>',
    ),
    ("> [!caution]\n>\n> mind", '<div class="admonition caution">'),
    ("- a\n  - b", "<li>a\n<ul>\n<li>b</li>"),
    ("- a\n   - b", "<li>a\n<ul>\n<li>b</li>"),
    ("words\n- a\n- b", "<p>words</p>\n<ul>\n<li>a</li>\n<li>b</li>"),
    ("**Options**\n1. a", "</p>\n<ol>\n<li>a</li>"),
    ("1) a\n2) b", "<ol>\n<li>a</li>\n<li>b</li>"),
    ("- a\n\n2. build\n   - debug", '<ol start="2">\n<li>build\n<ul>\n<li>debug</li>'),
    ("- a\n  ```\n  b\n  ```", "b\n</code></pre></div>"),
    ("- a\n\n  b\n\n  > c", "<p>b</p>\n<blockquote>\n<p>c</p>"),
    ("#5 was fixed", "<p>#5 was fixed</p>"),
    ("words\n| a |\n|---|\n| 1 |", "<p>words</p>\n<table>"),
    ("| a |\n|---|\n| `x \\| y` |", "<code>x | y</code>"),
    ("a[^1]\n\n[^1]: note", 'href="#user-content-fn'),
    ("a\\\nb", "a<br>\nb"),
    ("see https://example.org/x.", '<a href="https://example.org/x" rel='),
    ("www.example.org", 'href="http://www.example.org" rel='),
    ("<details>\n<summary>s</summary>\n\n**b**\n\n</details>", "<strong>b</strong>"),
    ("<div align=center>\n\n**b**\n\n</div>", '<div class="align-center">\n<p><strong>b'),
    (
        '<picture><source media="(width > 9px)" srcset="/logo.png"><img src="/logo.png"></picture>',
        '<picture><source srcset="/base/logo.png"><img',
    ),
    (
        '<picture><source srcset="/logo.png, /no.png 2x,/logo.png  1.5x"><img src="/logo.png">',
        '<source srcset="/base/logo.png, /base/logo.png  1.5x"><img',
    ),
    ('<img src="/logo.png" width="50%">', 'width="50%"'),
    ("<details><summary>s</summary>\n\nt\n</details>", "<details><summary>s</summary>"),
    ("a & b &copy; &lt;", "a &amp; b © &lt;"),
    ("a <kbd>Ctrl</kbd> b", "<kbd>Ctrl</kbd>"),
    ("<https://example.org/?a=1&b=2>", 'href="https://example.org/?a=1&amp;b=2"'),
    ("<div>\nAda <<ada@example.org>>\n</div>", "Ada &lt;&lt;ada@example.org&gt;&gt;"),
    ("the \\<string[]> type", "&lt;string[]&gt;"),
    ("<me@example.org>", 'href="mailto:me@example.org"'),
]


@pytest.mark.parametrize(("text", "present"), SHOWN)
def test_what_readmes_write_is_shown(render: Render, text: str, present: str) -> None:
    assert present.replace("\n", "") in render(text).html.replace("\n", "")


# what the engines do each in its own way: docs/reference/markdown.md
DIFFERENT = [
    # engine, text, what is in the page
    (PYTHON_MARKDOWN, "!!! warning\n    mind", '<div class="admonition warning">'),
    (PYTHON_MARKDOWN, "a\n{: .tip #x }", '<p class="tip" id="user-content-x">a</p>'),
    (PYTHON_MARKDOWN, "[TOC]\n\n## a\n\n### b", '<div class="toc">'),
    (PYTHON_MARKDOWN, "[TOC]\n\n## a", '<a href="#user-content-a">a</a>'),
    (PYTHON_MARKDOWN, "``` {.python #i onclick=x}\nx\n```", '<code class="language-python">'),
    (GFM, "!!! warning\n    mind", "!!! warning"),
    (GFM, "a\n{: .tip #x }", "{: .tip #x }"),
    (GFM, "[TOC]\n\n## a", "<p>[TOC]</p>"),
    (GFM, "``` {.python #i onclick=x}\nx\n```", "<pre><code>x"),
]


@pytest.mark.parametrize(("name", "text", "present"), DIFFERENT)
def test_engines_differ_as_documented(name: str, text: str, present: str) -> None:
    made = MarkdownRenderer(name).render(text, path="README.md", first_line=1)
    assert present in made.html


HOSTILE = [
    # text, what may not be in the page
    ("<script>alert(1)</script>", "alert"),
    ("a <script src=//evil.example></script>", "script"),
    ("[x](javascript:alert(1))", "javascript:"),
    ("[x](JaVaScRiPt:alert(1))", "alert(1)"),
    ('<a href="jav&#x0A;ascript:alert(1)">x</a>', "ascript:alert"),
    ('<a href=" &#14; javascript:alert(1)">x</a>', "script:alert"),
    ("[x](vbscript:x)", "vbscript"),
    ("[x](data:text/html;base64,AAAA)", "data:"),
    ("![x](data:image/svg+xml;base64,AAAA)", "data:"),
    ("<javascript:alert(1)>", "href"),
    ('<iframe src="//evil.example"></iframe><object data=x></object><embed src=x>', "evil"),
    ('<iframe src="//evil.example"></iframe><object data=x></object><embed src=x>', "<embed"),
    ('<meta http-equiv=refresh content="0;url=//evil.example">', "<meta"),
    ('<base href="//evil.example/">', "<base"),
    ('<a id="app" name="app" class="theme-admin">x</a>', '"app"'),
    ('<a id="app" name="app" class="theme-admin">x</a>', "theme-admin"),
    (
        "<math><mtext><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
        "onerror=alert(1)>",
    ),
    ("<svg><style><img src=x onerror=alert(1)></style></svg>", "<img"),
    ('<img src="x.png" onerror=alert(1)>', "onerror"),
    ('<p style="position:fixed">x</p>', "style"),
    ('```"><script>alert(1)</script>\nx\n```', "<script>"),
    ('``` {.a"onclick=x}\nx\n```', "onclick=x}"),
    ("| a |\n|---|\n| <script>alert(1)</script> |", "<script>"),
    ("a\n{: onclick=alert(1) style=color:red }", "<p onclick"),
    ("<form action=//evil.example><input name=password><button>Log in</button></form>", "<input"),
    ("<form action=//evil.example><input name=password><button>Log in</button></form>", "<form"),
    ('<input type="checkbox" disabled>', "<input"),
    ("<!-- secret -->a", "secret"),
    ('<a href="x" target="_blank">x</a>', "target"),
    ('<a href="//evil.example/x">x</a>', '"//'),
    ("[x](/\\evil.example)", "\\"),
    ('<img src="//evil.example/x.png">', "<img"),
    ("![x](https://evil.example/x.png)", "<img"),
    ('<img src="https://evil.example/x.png" srcset="y">', "<img"),
    ('<img src="https:/evil.example/x.png">', "<img"),  # another host where the page is http
    ('<img src="http:evil.example/x.png">', "<img"),
    ('<img src="x.png" srcset="https:\\evil.example/x.png 2x">', "evil"),
    ('<a href="https:/\\evil.example">x</a>', "https:/%"),
    ('<div id="user-content-x" class="highlight nav">', "nav"),
    ("\x02amp\x03 \x02wzxhzdk:0\x03 \x01", "\x02"),
]


@pytest.mark.parametrize(("text", "absent"), HOSTILE)
def test_what_could_harm_is_not_shown(render: Render, text: str, absent: str) -> None:
    assert absent not in render(text, files=("x.png",)).html


@pytest.mark.parametrize(
    "text",
    [
        '{{< readfile "/etc/passwd" >}} {% raw %}{% endraw %} <%= 7*7 %>',
        "{{ 7*7 }} {% include 'x' %}",
    ],
)
def test_no_template_language_is_run(render: Render, text: str) -> None:
    html = render(text).html
    assert "root:" not in html
    assert "49" not in html


def test_every_link_is_without_opener(render: Render) -> None:
    html = render(
        '<a href="//x.example" target="_blank" rel="opener">x</a> [y](http://z.example)'
    ).html
    assert html.count('rel="nofollow noopener"') == 2


def test_an_anchor_that_leads_nowhere_has_no_relation(render: Render) -> None:
    html = render('<a name="x"></a>[y](javascript:z "t")').html
    assert html == '<p><a name="user-content-x"></a><a title="t">y</a></p>'


def test_pictures_of_other_hosts_become_links(render: Render) -> None:
    html = render("![the badge](https://ci.example/b.svg)").html
    link = '<a href="https://ci.example/b.svg" rel="nofollow noopener">the badge</a>'
    assert html == f"<p>{link}</p>"


def test_a_badge_becomes_a_link_with_its_text(render: Render) -> None:
    html = render("[![](https://ci.example/b.svg)](https://ci.example/)").html
    assert html == '<p><a href="https://ci.example/" rel="nofollow noopener">b.svg</a></p>'


def test_the_words_for_a_picture_are_text(render: Render) -> None:
    html = render('<img src="https://a.example/x.png" alt="<b>&quot;&amp;lt;">').html
    assert "<b>" not in html
    assert (
        "onload"
        not in render('<img src="https://a.example/x" alt=\'"onload=x\'>').html.split("<")[0]
    )


def test_the_title_is_taken_off_and_given(render: Render) -> None:
    rendered = render("# The *greeting* &amp; `more`\n\nHello.")
    assert rendered.title == "The greeting & more"
    assert rendered.html == '<span id="user-content-the-greeting--more"></span>\n<p>Hello.</p>'


def test_a_later_title_is_given_and_stays(render: Render) -> None:
    rendered = render("Hello.\n\n# Title")
    assert rendered.title == "Title"
    assert "Title" in rendered.html


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("", ""),
        ("# only a title", ""),
        ("# t\n\n[![](b)](y)\n\nThe *1st* `one` \\* &amp; <b>more</b>.", "The 1st one * & more."),
        ("- a list", ""),
        ("> a quote\n\nthen words", "then words"),
    ],
)  # fmt: skip
def test_the_excerpt_is_the_first_paragraph_that_says_something(
    render: Render, text: str, excerpt: str
) -> None:
    assert render(text).excerpt == excerpt


def test_an_excerpt_is_cut_between_words(render: Render) -> None:
    excerpt = render("word " * 100).excerpt
    assert len(excerpt) <= 200
    assert excerpt.endswith("word…")


def test_warnings_name_the_line(render: Render) -> None:
    rendered = render("a\n\n[x](../../../../../etc/passwd)\n\n![y](no.png)\n")
    assert rendered.warnings == (
        (7, "the link '../../../../../etc/passwd' leaves the site"),
        (9, "the image 'no.png' leads to nothing that is published"),
    )
    assert "passwd" not in rendered.html


def test_published_pictures_are_shown(render: Render) -> None:
    rendered = render('![a](images/x.png) <img src="./y.png">', files=("images/x.png", "y.png"))
    assert '<img alt="a" src="/base/vanessa/greeting/images/x.png">' in rendered.html
    assert '<img alt="" src="/base/vanessa/greeting/y.png">' in rendered.html
    assert rendered.warnings == ()


@pytest.mark.parametrize("name", ENGINES)
def test_a_render_leaves_nothing_for_the_next(name: str) -> None:
    renderer = MarkdownRenderer(name)
    texts = [
        "# a\n\n[x]\n\n[x]: http://a.example/\n",
        "[x]\n\n## a\n",
        "```py\nx\n```",
        "[TOC]\n\n## b",
    ]
    once = [MarkdownRenderer(name).render(t, path="p", first_line=1) for t in texts]
    for order in (texts, texts[::-1]):
        for text in order:
            again = renderer.render(text, path="p", first_line=1)
            assert again == once[texts.index(text)]


@pytest.mark.parametrize(
    ("fault", "said"), [(RecursionError(), "nested too deeply"), (IndexError(), "IndexError")]
)
def test_a_parser_that_fails_is_one_problem(
    render: Render, monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    def fail(*_: object) -> str:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(engine, "gfm", fail)
        patch.setattr(engine, "python_markdown", fail)
        with pytest.raises(ContentError, match=f"README.md:5: .*{said}"):
            render("a")
    assert render("a").html == "<p>a</p>"


def test_the_key_of_the_engine_is_stable() -> None:
    assert engine_key() == engine_key()
