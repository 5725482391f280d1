"""A proposal as Markdown: what was contributed stays text."""

from __future__ import annotations

import re

import markdown
import pytest

from builder.errors import Problem
from builder.pull_requests.model import Proposal, TagChange
from builder.pull_requests.summary import summary

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "![x](https://example.org/x.png)",
    "[x](https://example.org)",
    "a`b`c",
    "``<script>``",
    "a|b|<b>c</b>",
    "a\\|b",
    "&lt;&#60;",
    "::error::pwned",
    "##[error]pwned",
    "a\n::set-output name=x::y\n# head",
    "\u202egnp.exe",
    "@maintainer #1 www.example.org",
    "-->",
    "</code><b>x",
)


def test_what_is_shown() -> None:
    tags = (
        TagChange("lab/tool", "1", "", NEW, 0, 2000),
        TagChange("lab/tool", "2", OLD, NEW, 3000, 2000),
        TagChange("lab/tool", "3", OLD, "", 1000, 0),
    )
    recipes = ("collections/lab/tool/manifests/4/build.sh",)
    proposal = Proposal("c0ffee", "anna", 7, ("lab/tool",), tags, recipes)
    problems = (
        Problem("_config.yml", 0, "may not change", "leave it"),
        Problem("x", 3, "is odd", warning=True),
    )
    assert summary(proposal, problems) == (
        "## What this changes\n\n**1 problem: not yet.** 7 files, 3 tags by `anna`.\n\n"
        "| tag | change | old | new | size |\n| --- | --- | --- | --- | --- |\n"
        f"| `lab/tool:1` | added | - | `{NEW}` | 2,000 bytes |\n"
        f"| `lab/tool:2` | moved | `{OLD}` | `{NEW}` | 2,000 bytes (-1,000) |\n"
        f"| `lab/tool:3` | removed | `{OLD}` | - | -1,000 bytes |\n\n"
        "These files would be read or run by a build:\n\n"
        "- `collections/lab/tool/manifests/4/build.sh`\n\n"
        "## Problems\n\n"
        "- `_config.yml` `may not change` Hint: `leave it`\n"
        "- Warning: `x:3` `is odd`\n"
    )


def test_nothing_to_say() -> None:
    assert "**No problems.** 1 file, 0 tags." in summary(Proposal("c", "", 1), ())


@pytest.mark.parametrize("text", HOSTILE)
def test_contributed_text_stays_text(text: str) -> None:
    tag = TagChange(text, text, text, text)
    proposal = Proposal("c", text, 1, (text,), (tag,), (text,))
    shown = summary(proposal, [Problem(text, 0, text, text)])
    assert not [line for line in shown.split("\n") if line.startswith(("::", "# "))]
    assert "##[" not in shown
    (row,) = [line for line in shown.split("\n") if line.startswith("| ") and "moved" in line]
    assert row.count("|") == 6
    html = markdown.markdown(shown, extensions=["tables"])
    allowed = {"h2", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert {found.lower() for found in re.findall(r"</?([a-zA-Z][a-zA-Z0-9]*)", html)} <= allowed


def test_long_lists_are_cut() -> None:
    tags = tuple(TagChange("a", str(number), "", NEW) for number in range(5000))
    problems = [Problem(f"p{number}", 0, "m" * 5000) for number in range(5000)]
    shown = summary(Proposal("c", "a", 1, ("a",), tags), problems)
    assert len(shown) < 200_000
    assert shown.count("and 4800 more") == 2
