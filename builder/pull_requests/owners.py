"""Who may change which folders: the OWNERS file, or CODEOWNERS.

Each line is a pattern and those who own what it matches; the last line that
matches a path counts. `*` as an owner means everybody. Read from the base
branch only: a proposal cannot give itself rights.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

OWNERS = "OWNERS"
CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: a pattern and its owners, without their `@`, in lower case."""

    pattern: str
    owners: frozenset[str]

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches a path, or a folder above it."""
        return _regex(self.pattern).fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Owners:
    """All rules of one file, in order.

    `path` names the file; `above` is the folder, with a slash or empty, that
    its patterns are written for. Paths are asked for from the repository's top.
    """

    path: str
    rules: tuple[Rule, ...]
    above: str = ""

    def of(self, path: str) -> frozenset[str] | None:
        """Return the owners of a path; None where no rule says."""
        inner = path.removeprefix(self.above)
        found = [rule for rule in self.rules if rule.matches(inner)]
        return found[-1].owners if found else None

    def may_change(self, author: str, path: str) -> bool:
        """Tell whether `author`, or one of several names with commas between, owns a path."""
        return EVERYBODY in (self.of(path) or ()) or self.owns(author, path)

    def owns(self, author: str, path: str) -> bool:
        """Tell whether a path is the author's own, and not merely everybody's."""
        names = {name.strip().removeprefix("@").lower() for name in author.split(",")}
        return not (names - {"", EVERYBODY}).isdisjoint(self.of(path) or ())


def find_owners(read: Callable[[str], bytes | None], registry: str) -> Owners | None:
    """Return the rules that a repository has, by what `read` gives for its paths.

    `registry` is the registry's folder in it, with a slash or empty: its
    OWNERS counts before any CODEOWNERS, which lies at the repository's top.
    """
    places = [(f"{registry}{OWNERS}", registry), *((path, "") for path in CODEOWNERS)]
    for path, above in places:
        if (raw := read(path)) is not None:
            return parse_owners(raw.decode("utf-8", "replace"), path, above)
    return None


def parse_owners(text: str, path: str, above: str = "") -> Owners:
    """Return the rules of an owners file; headings of GitLab's sections are passed over."""
    rules = []
    for line in text.splitlines():
        words = re.sub(r"(?:^|\s)#.*", "", line).split()
        if not words or words[0].startswith(("[", "^[")):
            continue
        names = frozenset(word.removeprefix("@").lower() for word in words[1:])
        rules.append(Rule(words[0], names - {""}))
    return Owners(path, tuple(rules), above)


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    """Return what a pattern matches: gitignore's words, anchored where it has a slash.

    As in CODEOWNERS, `folder/*` means the files of that folder and none deeper.
    """
    body = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    once = re.sub(r"(?<![^/])(?:\*\*/)+", "**/", body)
    parts = re.split(r"(/\*\*/|^\*\*/|/\*\*$|\*+|\?)", once)
    words = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "?": "[^/]"}
    inner = "".join(
        words.get(part) or ("[^/]*" if part[:1] == "*" else re.escape(part)) for part in parts
    )
    before = "" if anchored else "(?:.*/)?"
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    after = "" if body.endswith("/*") and not pattern.endswith("/") else below
    return re.compile(f"{before}{inner}{after}", re.DOTALL)
