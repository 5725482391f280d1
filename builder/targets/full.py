"""A host that can do everything: what the preview server is when no target is asked for."""

from __future__ import annotations

from builder.output import Capabilities
from builder.targets.base import FileHost

TARGET = FileHost(
    Capabilities(
        name="preview",
        title="the preview server",
        media_types=True,
        headers=True,
        redirects=True,
        index_names=("index.html", "index.json"),
        unknown_referrers=True,
        queries=True,
        json_errors=True,
        fallbacks=True,
    )
)
