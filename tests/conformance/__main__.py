"""Makes the table of docs/reference/conformance.md: asks every host, writes what it answered.

`python -m tests.conformance`
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conformance.requirements import write_table
from tests.conformance.results import Recorder
from tests.hosts import HOSTS


def main() -> int:
    """Run all tests, write the table; return 0 when every host could be asked."""
    recorder = Recorder()
    folder = str(Path(__file__).parent)
    arguments = [
        "-q",
        "--no-header",
        "--tb=no",
        "-rN",
        "--ignore",
        f"{folder}/test_table.py",
        folder,
    ]
    pytest.main(arguments, plugins=[recorder])
    if recorder.trouble:
        sys.stderr.write("\n".join(recorder.trouble) + "\n")
        return 1
    write_table(recorder.cells, HOSTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
