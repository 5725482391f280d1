"""Where layers are kept that no site holds, and the one place that maps `registry.blobs` to it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from builder.errors import UsageError
from builder.offsite.bucket import Bucket
from builder.offsite.github import GitHubRelease
from builder.offsite.registry import RegistryLayers
from builder.offsite.web import WebFolder
from builder.storage import CLOUDS
from builder.storage.base import Offsite

__all__ = ["Bucket", "open_offsite"]

_WEB = re.compile(r"https://[^\s\"'<>@?#]+")


def open_offsite(text: str, environment: Mapping[str, str], address: str = "") -> Offsite | None:
    """Return the place that `registry.blobs` names; None for `site`.

    `environment` tells which GitHub is meant, `address` where clients get
    what is in a bucket. Raises UsageError for what is no place known here.
    """
    scheme, _, rest = text.partition("://")
    if text == "site":
        return None
    if scheme == "github-release":
        return GitHubRelease.parse(rest, environment)
    if scheme in CLOUDS:
        return Bucket.parse(text, address)
    if scheme == "docker":
        return RegistryLayers.parse(rest)
    if _WEB.fullmatch(text):
        return WebFolder(text.rstrip("/"))
    hint = "write 'site', s3://BUCKET/PREFIX (gs://, az://), https://ADDRESS, docker://HOST/NAME, "
    hint += "or github-release://OWNER/REPO/TAG"
    raise UsageError(f"{text!r} is not a known place", hint)
