"""Object storage: S3, R2, Google's and Azure's, where each object carries its own type.

There are no rules to write: `builder publish` sends media type and cache
headers with each object.
"""

from __future__ import annotations

from builder.output import Capabilities
from builder.targets.base import FileHost

TARGET = FileHost(
    Capabilities(
        name="s3",
        title="object storage",
        media_types=True,
        notes=(
            "Publish with `builder publish s3://BUCKET` (or gs://, az://), which sets each type.",
            "/v2/ must be at the root of the host: use a domain of the bucket's own.",
            "Make the bucket's listing public, or a missing key answers 403 instead of 404.",
            "Layers stored elsewhere have no redirect below /v2/: keep layers in this bucket.",
        ),
    )
)
