from __future__ import annotations

import pytest

from builder.theme import liquid

LIQUID = [
    # source, a word of the hint
    ("{% assign x = 1 %}", "set"),
    ("{%- assign x = 1 -%}", "set"),
    ("{% capture x %}a{% endcapture %}", "endset"),
    ("{% comment %}a{% endcomment %}", "{#"),
    ("{% unless a %}b{% endunless %}", "if not"),
    ("{% if a %}{% elsif b %}{% endif %}", "elif"),
    ("{% case x %}{% when 1 %}{% endcase %}", "elif"),
    ("{% include head.html %}", "'name.html'"),
    ("{% include 'head.html' title='x' %}", "with"),
    ("{% include_relative x.md %}", "include"),
    ("{% for a in b limit:3 %}{% endfor %}", "offset:limit"),
    ("{% for a in b reversed %}{% endfor %}", "reverse"),
    ("{% for i in (1..3) %}{% endfor %}", "range"),
    ("{{ forloop.index }}", "loop.index"),
    ("{{ include.title }}", "with"),
    ("{% if a contains 'b' %}{% endif %}", "in whole"),
    ("{% if a == blank %}{% endif %}", "not value"),
    ("{% if a != nil %}{% endif %}", "none"),
    ("{% if a && b %}{% endif %}", "and"),
    ("{% if a || b %}{% endif %}", "or"),
    ('{{ page.date | date: "%Y" }}', "date(...)"),
    ('{{ "a, b" | split: ", " | first }}', "split(...)"),
    ("{% highlight python %}x{% endhighlight %}", "fenced"),
    ("{% link a.md %}", "relative_url"),
    ("{% cycle 'a', 'b' %}", "loop.cycle"),
    ("{% seo %}", "head"),
]


@pytest.mark.parametrize(("source", "hint"), LIQUID)
def test_liquid_is_explained(source: str, hint: str) -> None:
    found = list(liquid.constructs(f"<p>\n{source}"))
    assert found
    assert all(construct.line == 2 for construct in found)
    assert any(hint in construct.hint for construct in found)


JINJA = [
    "{% set x = 1 %}{% if a %}{% elif b %}{% else %}{% endif %}",
    "{% include 'head.html' %}{% include ['a.html', 'b.html'] ignore missing %}",
    "{% include name %}{% include page.kind ~ '.html' %}",
    "{% with title = 'x' %}{% include 'head.html' %}{% endwith %}",
    "{% for a in b[1:3] %}{{ loop.index }}{% endfor %}",
    "{{ items[n | length:] }}{{ {'a' | upper: 1} }}",
    "{{ 'forloop contains nil && | date: x' }}",
    "{# {% assign x = 1 %} #}",
    "{% raw %}{% assign x = 1 %}{{ a | date: 'x' }}{% endraw %}",
    "{{ page.nil_value }} {{ page.contains }}",
    "{{ a if b else c | date('%Y') }}",
    "{% macro f(x, limit=3) %}{% endmacro %}{{ f(1, limit=2) }}",
    "text: a | b: c && d",
]


@pytest.mark.parametrize("source", JINJA)
def test_jinja_is_not_liquid(source: str) -> None:
    assert list(liquid.constructs(source)) == []
