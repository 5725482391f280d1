"""Hiding what this process was told from the recipes that it runs.

Whoever runs as the same user reads the environment that a process was started
with from `/proc`, whatever it is given itself. So the program begins anew
with no more than recipes get. The rest comes through a file without a name
and is from then on in memory alone, which the kernel keeps from others, but
not from a root that may trace processes. Source: proc(5), prctl(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

from builder.recipes.run import environment

_HELD = "_BUILDER_HELD"  # names the descriptor of the file
_PR_SET_DUMPABLE = 4


def hide() -> None:
    """Begin this program anew, once, with an environment that recipes may read.

    Does nothing where the system has no such files, and no `/proc` either.
    """
    if not hasattr(os, "memfd_create"):
        return
    if (held := os.environ.pop(_HELD, "")) == "":
        _begin_anew()
    with os.fdopen(int(held), "rb") as stream:
        os.environ.update(json.load(stream))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _begin_anew() -> None:
    python = {key: text for key, text in os.environ.items() if key.startswith("PYTHON")}
    held = os.memfd_create("environment", 0)
    with os.fdopen(held, "w", encoding="ascii", closefd=False) as stream:
        json.dump(dict(os.environ), stream)
    os.lseek(held, 0, os.SEEK_SET)
    arguments = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, {**environment(python), _HELD: str(held)})  # noqa: S606
