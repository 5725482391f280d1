from __future__ import annotations

import pytest

from builder.errors import ContentError
from builder.text import limits
from builder.text.markdown import ENGINES, MarkdownRenderer

WIDE_TABLE = "|".join("a" * 400) + "\n" + "|".join("-" * 400) + "\n" + "a|\n" * 2000

REFUSED = [
    # text, a word of the reason
    ("x" * (limits.MAX_BYTES + 1), "large"),
    ("é" * (limits.MAX_BYTES // 2 + 1), "large"),
    ("&" * 500_000, "large"),
    ("[" * 13_000, "limit"),
    ("[ " * 13_000, "limit"),
    ("![" * 13_000, "limit"),
    ("[a](" * 20_000, "limit"),
    ("[a](<" * 20_000, "limit"),
    ("[a][" * 20_000, "limit"),
    ("![a](" * 13_000, "limit"),
    ("(" * 13_000, "limit"),
    (">" * 50_000, "limit"),
    ("> " * 100 + "a", "nest"),
    ("- " * 100 + "a", "nest"),
    ("1. " * 100 + "a", "nest"),
    ("> - " * 100 + "a", "nest"),
    ("\n".join("    " * depth + "- a" for depth in range(40)), "nest"),
    ("\n".join("\t" * depth + "!!! note" for depth in range(40)), "nest"),
    (WIDE_TABLE, "large"),
    ("a|b|c\n-|-|-\n" + "1|2|3\n" * 9_000, "large"),
    ("".join(f"[a{n}]: /u\n" for n in range(20_000)) + "[a0]", "limit"),
    ("".join(f"[a{n}]: /u\n" for n in range(50_000)) + "[a0]", "large"),
    ("*a" * 100_000, "limit"),
    ("**a*b" * 50_000, "limit"),
    ("*" * 13_000, "limit"),
    ("_" * 13_000, "limit"),
    ("`" * 13_000, "limit"),
    ("`a" * 100_000, "limit"),
    ("<" * 13_000, "limit"),
    ("<a" * 13_000, "limit"),
    ("<a " * 8_000, "limit"),
    ("<http://" * 8_000, "limit"),
    ("<!--" * 9_000, "limit"),
    ("<b>x</b>" * 20_000, "limit"),
    ("\\*" * 100_000, "limit"),
    ("&#1;" * 60_000, "limit"),
    ("# a\n" * 50_000, "limit"),
    ("a\n=\n" * 30_000, "limit"),
    ("---\n" * 50_000, "limit"),
    ("a  \n" * 60_000, "limit"),
    ("# {#" * 60_000, "limit"),
    ("---\n>" * 20_000, "limit"),
    ("> a\n> [b]: c\n" * 4_900, "limit"),
    ("> " + WIDE_TABLE.replace("\n", "\n> "), "large"),
    ("\\`` a " * 14_000, "limit"),
    ("``a`" * 20_000, "limit"),
    ("- \n" * 60_000, "limit"),
    ("- \t" * 60_000, "nest"),
    ("a\n[b]: c\n" * 4_900, "limit"),
    ("```\n" * 30_000, "limit"),
    ("<b>" * 5_000, "nest"),
    ("".join(f"<b id={n}><p>" for n in range(500)), "nest"),
    # not hidden by a character that is dropped
    ("===\n\x03" * 50_000, "limit"),
    # not hidden from the count by something that only looks like a fence
    ("    text\n```\n" + "[" * 200 + ("[ " * 13_000) + "\n```\n", "limit"),
    ("``` {.a}\n```\n" + "[ " * 13_000 + "\n```\n", "limit"),
    ("> ```\n```\n" + "[ " * 13_000 + "\n```\n", "limit"),
    ("```\n````\n" + "[ " * 13_000 + "\n```\n", "limit"),
    ("~~~ a\n   ~~~\n" + "[ " * 13_000 + "\n~~~\n", "limit"),
    # one item of a list, although each line looks like one
    ("1. a\n" + "- [\n" * 13_000, "limit"),
    ("- a\n" + "            - [\n" * 10_000, "limit"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("text", "word"), REFUSED, ids=range(len(REFUSED)))
def test_texts_that_take_minutes_are_refused_at_once(engine: str, text: str, word: str) -> None:
    with pytest.raises(ContentError) as caught:
        MarkdownRenderer(engine).render(text, path="a/README.md", first_line=5)
    (problem,) = caught.value.problems
    assert problem.path == "a/README.md"
    assert problem.line >= 5
    assert word in problem.message
    assert problem.hint


ITEM = (
    "- [name](https://example.org/x) - some *words* here and `code` [#12](https://x.example/12)\n"
)
HONEST = [
    "",
    "```text only\n" + "(" * 32_768 + "\n```\n",
    "Words.\n\n~~~ python title=`x`\n" + "[" * 32_768 + "\n~~~\n",
    "Words.\n",
    ITEM * 2_400,
    "Items:\n" + ITEM * 1_200,
    "## 1.0\n\n" + "".join(f"### {n}\n\n{ITEM}\n" for n in range(2_000)),
    "|a|b|c|d|\n|-|-|-|-|\n" + "|`a`|[text](http://x.example)|*c*|1.2.3|\n" * 1_000,
    "| a | b | c | d | e | f | g | h | i | j |\n" + "|---" * 10 + "|\n" + "| 1 " * 10 + "|\n" * 200,
    "```\n" + "[" * 20_000 + "\n```\n",
    "a\n\n~~~ text\n" + "if [[ ${a[0]} < b ]]; then\n" * 5_000 + "~~~\n",
    "<table>\n"
    + "<tr><td><a href='x'><img src='y'><br><sub>c</sub></a></td></tr>\n" * 900 + "</table>",
    "<details>\n<summary>a</summary>\n\nb\n\n</details>\n\n" * 500,
    "\n".join("    " * depth + "- a" for depth in range(10)),
    "- - -\n\n* * *\n\n" + "-" * 200 + "\n\n" + "*" * 200 + "\n\n" + "_ " * 60,
    "[![a](b.svg)](c) " * 50,
    "a < b and c > d, x[i] == y[j], f(a(b(c)))\n" * 500,
    "".join(f"[{n}]: https://example.org/{n}\n" for n in range(4_000)),
    "<!-- " + "<div>" * 200 + " -->",
    "> quoted *text*\n" * 2_000,
    "Lorem *ipsum* dolor `sit` [amet](x).\n" * 2_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HONEST, ids=range(len(HONEST)))
def test_large_honest_texts_pass(text: str) -> None:
    limits.check_source(text, path="README.md", first_line=1)


def test_problems_name_the_line_after_code_that_is_not_counted() -> None:
    text = "a\n\n```\n" + "[" * 500 + "\n```\n\n" + ">" * 300
    with pytest.raises(ContentError, match=r"README.md:16: "):
        limits.check_source(text, path="README.md", first_line=10)
    with pytest.raises(ContentError, match=r"README.md: has a run"):
        limits.check_source(text, path="README.md", first_line=0)
