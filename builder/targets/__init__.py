"""Targets: the kinds of host a site is published to, found by the name a user wrote."""

from __future__ import annotations

from collections.abc import Mapping

from builder.errors import UsageError, did_you_mean
from builder.targets import (
    apache,
    caddy,
    cloudflare_pages,
    files,
    firebase,
    netlify,
    vercel,
)
from builder.targets.base import Address, SideFile, Target
from builder.targets.nginx import target as nginx

__all__ = ["TARGETS", "Address", "SideFile", "Target", "open_target", "target_names"]

_KNOWN: tuple[Target, ...] = (
    *(apache.TARGET, caddy.TARGET, nginx.TARGET),
    *(cloudflare_pages.TARGET, firebase.TARGET, netlify.TARGET, vercel.TARGET),
    *(files.GITHUB_PAGES, files.GITLAB_PAGES, files.PLAIN, files.S3, files.PREVIEW),
)

TARGETS: Mapping[str, Target] = {target.capabilities.name: target for target in _KNOWN}


def target_names() -> tuple[str, ...]:
    """Return the names of the hosts a site can be built for, in byte order."""
    return tuple(sorted(name for name in TARGETS if name != files.PREVIEW.capabilities.name))


def open_target(name: str) -> Target:
    """Return the target of that name.

    Raises UsageError, with all names and the nearest one, when there is none.
    """
    if name in TARGETS:
        return TARGETS[name]
    near = did_you_mean(name.lower().replace("_", "-"), target_names())
    known = f"the targets are {', '.join(target_names())}"
    raise UsageError(f"{name!r} is not a target", f"{near} {known}" if near else known)
