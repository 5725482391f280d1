"""What can go wrong, and what each kind of wrong means to a shell.

    BuilderError                 exit 1
     ├─ ContentError             exit 1   content or configuration has problems
     │   └─ MissingError                  content that is named somewhere is not there
     ├─ UsageError               exit 2   the command line makes no sense
     ├─ LocalError               exit 3   disk, permission
     ├─ RemoteError              exit 4   network, authorisation
     └─ LockedError              exit 5   another run holds the lock

Nothing in this file knows about registries, pages or terminals; every other
module may import it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, Self

STANDARD_OUTPUT = "standard output"  # the name of the file of an OSError that came from there
_concealed: set[str] = set()
_FEW = 8  # known words of a hint
_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")


def conceal(secret: str) -> None:
    """Let no error of this process show `secret`, whoever says it and wherever."""
    if len(secret) > 3:  # anything shorter is in half of all words
        _concealed.add(secret)


def redacted(text: str) -> str:
    """Return `text` without what was concealed, and without the passwords of URLs.

    Errors do this themselves; text that is cut must be redacted before that,
    or half of a secret could stay.
    """
    for secret in sorted(_concealed, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _PASSWORD.sub(r"\1***@", text)


def printable(text: str) -> str:
    """Return `text` with control characters and lone surrogates spelled out.

    File names and labels come from strangers: a raw newline in one would let
    it forge a log line or a CI workflow command.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names of a list for a message: `a, b and 3 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def counted(number: int, noun: str) -> str:
    """Return `1 file` or `1,200 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it.

    `str()` gives `path:line: message`, then the hint on a line of its own:

        collections/vanessa/greeting/README.md:3: 'layout' is not a page layout
          hint: use one of collection, namespace, tag
    """

    path: str
    line: int = 0  # counted from 1; 0 where a line makes no sense
    message: str = ""
    hint: str = ""
    warning: bool = False

    def __post_init__(self) -> None:
        if _concealed:
            for name in ("path", "message", "hint"):
                object.__setattr__(self, name, redacted(getattr(self, name)))

    @property
    def where(self) -> str:
        """`path` or `path:line`."""
        path = printable(self.path)
        return f"{path}:{self.line}" if self.line else path

    def __str__(self) -> str:
        label = "warning: " if self.warning else ""
        text = f"{self.where}: {label}{printable(self.message)}"
        return f"{text}\n  hint: {printable(self.hint)}" if self.hint else text

    def to_json(self) -> dict[str, object]:
        """Return the shape that `--json` prints."""
        return {
            "path": self.path,
            "line": self.line or None,
            "message": self.message,
            "hint": self.hint or None,
            "level": "warning" if self.warning else "error",
        }


class BuilderError(Exception):
    """Anything this project reports to a user instead of crashing."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = redacted(message)
        self.hint = redacted(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        text = printable(self.message)
        return f"{text}\n  hint: {printable(self.hint)}" if self.hint else text


class ContentError(BuilderError):
    """Content or configuration is wrong; carries every problem of the run."""

    def __init__(self, problems: Iterable[Problem], outcome: str = "nothing was changed") -> None:
        self.outcome = outcome
        self.problems = tuple(sorted(set(problems)))
        super().__init__(f"{len(self.problems)} problem(s)")

    @classmethod
    def at(cls, path: str, message: str, hint: str = "", *, line: int = 0) -> Self:
        """Return an error that carries a single problem."""
        return cls([Problem(path, line, message, hint)])

    @property
    def what(self) -> str:
        """What is wrong, without where."""
        return "; ".join(problem.message for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class MissingError(ContentError):
    """Content that is named somewhere is not where it should be."""


class UsageError(BuilderError):
    """The command line itself is wrong."""

    exit_code = 2


class LocalError(BuilderError):
    """This machine refuses: no space, no permission, no such device."""

    exit_code = 3

    @classmethod
    def of(cls, error: OSError, where: str | Path, hint: str = "") -> Self:
        """Return what the machine said, and where; its own remedy goes before `hint`."""
        return cls(f"{where}: {error.strerror or error}", remedy(error) or hint)


class RemoteError(BuilderError):
    """Another machine refuses or cannot be reached."""

    exit_code = 4


class LockedError(BuilderError):
    """Another run is at work on the same registry or destination."""

    exit_code = 5


def remedy(error: OSError) -> str:
    """Return what to do about an error whose words do not say it, or the empty string."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "let it open more files at once, as in: ulimit -n 1024"
    return "let it write larger files: ulimit -f unlimited" if error.errno == errno.EFBIG else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'title'?` for a near miss, else the empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.8)
    return f"did you mean {close[0]!r}?" if close else ""


def one_of(word: str, known: Sequence[str], title: str) -> str:
    """Return the known word that is near, else the first few as `TITLE: a, b and 3 more`."""
    few = ", ".join(known[:_FEW])
    more = f" and {len(known) - _FEW} more" if len(known) > _FEW else ""
    return did_you_mean(word, known) or (f"{title}: {few}{more}" if known else "")
