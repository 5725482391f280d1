"""Hashing the files of a site in other processes, or on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from builder.publish.release import Listed
from builder.remote.http import Http
from builder.remote.options import RemoteOptions
from builder.verify.findings import Finding, VerifyOptions
from builder.verify.places import open_place
from builder.verify.site import Verifier
from builder.write.workers import Death


class Hashed(NamedTuple):
    """What came of one file: 1 if it is there, the bytes that were read, what is wrong with it."""

    files: int
    size: int
    findings: Sequence[Finding]


@dataclass(slots=True)
class Hasher:
    """A session that opens the place at `address`, a URL or a folder, wherever it finds itself."""

    address: str
    remote: RemoteOptions
    options: VerifyOptions
    _verifier: Verifier | None = field(default=None, init=False)

    def hash(self, row: Listed) -> Hashed:
        """Read one file and compare it with what a release says of it."""
        if self._verifier is None:
            http = Http(self.remote)
            self._verifier = Verifier(open_place(self.address, http), http, self.options)
        result = self._verifier.result
        result.files, result.size, result.findings = 0, 0, []
        self._verifier.hash(row)
        return Hashed(result.files, result.size, tuple(result.findings))


def hash_died(row: Listed, death: Death) -> Hashed:
    """Return nothing: a process that hashes dies of nothing that it reads; raises LocalError."""
    raise death.error(f"{row.path}: the process that hashed it")
