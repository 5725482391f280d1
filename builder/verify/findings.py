"""What verifying is asked for, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from builder.errors import Problem
from builder.publish.moves import Log
from builder.publish.release import Release
from builder.publish.signing import PublicKey


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is verified, and by what.

    `keys` must have signed the release, where there are some; `only` leaves
    out what is or is not below `v2/`; of large content a share of `sample`
    (0 to 1) is hashed. The release must be of the site `name`, where that is
    not empty, and must not have expired at `now`, ISO 8601 in UTC.
    """

    keys: Sequence[PublicKey] = ()
    only: Literal["", "v2", "pages"] = ""
    sample: float = 1.0
    threads: int = 8
    name: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What is wrong with one path: what it should be, and what it is.

    `far` says that it could not be reached, so that nobody knows.
    """

    path: str
    message: str
    expected: str = ""
    actual: str = ""
    hint: str = ""
    far: bool = False

    @property
    def problem(self) -> Problem:
        """The finding in words."""
        text = self.message
        if self.expected:
            text += f": expected {self.expected}, found {self.actual or 'nothing'}"
        return Problem(self.path, message=text, hint=self.hint)


@dataclass(slots=True)
class Verified:
    """What was read at a place, and what is wrong with it; `size` is in bytes."""

    address: str
    release: Release | None = None
    names: int = 0
    manifests: int = 0
    blobs: int = 0
    files: int = 0
    size: int = 0
    findings: list[Finding] = field(default_factory=list)
    log: Log | None = None  # of tag moves

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is known to be wrong."""
        return tuple(finding.problem for finding in self.findings if not finding.far)

    @property
    def far(self) -> tuple[Finding, ...]:
        """What could not be reached."""
        return tuple(finding for finding in self.findings if finding.far)
