"""Any file server: files by path, `index.html` for a folder, types by extension."""

from __future__ import annotations

from builder.output import Capabilities
from builder.targets.base import FileHost
from builder.targets.headerless import NO_REDIRECTS, NOTES

TARGET = FileHost(
    Capabilities(
        name="plain",
        title="any file server",
        runs=True,
        guesses=True,
        notes=(*NOTES, NO_REDIRECTS),
    )
)
