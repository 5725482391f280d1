"""`registry.schema1`, `registry.platform_tags`, `registry.archives`: what stands beside tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from builder.config.reader import Reader
from builder.oci.platform import Platform
from builder.pages.model import PageOptions
from builder.registry.model import CompanionOptions

SUFFIX = ".s1"
_SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,32}")
_SCHEMA1_KEYS = ("suffix", "platform")


def companion_options(
    keys: Mapping[str, Any], pages: PageOptions, reader: Reader
) -> CompanionOptions:
    """Return what is published beside tags.

    Companion tags are for hosts without media types that clients pull from by
    name; archives are for everybody.
    """
    said = reader.registry(keys)
    asked = pages.by_name and not pages.typed
    suffix, platform = _schema1(said.get("schema1"), reader)
    return CompanionOptions(
        schema1=suffix if asked else "",
        platform=platform,
        platform_tags=asked and said.get("platform_tags") is True,
        archives=said.get("archives") is True,
        host=pages.host,
        max_file=pages.capabilities.max_file,
        redirects=pages.capabilities.redirects,
    )


def _schema1(value: Any, reader: Reader) -> tuple[str, Platform]:
    """Return the suffix (empty: not wanted) and the platform of schema 1 companions."""
    default = CompanionOptions().platform
    if not isinstance(value, dict):
        return (SUFFIX if value else ""), default
    for key in value.keys() - set(_SCHEMA1_KEYS):
        message = f"unknown key 'registry.schema1.{key}'"
        reader.problem(
            ("registry", "schema1", key), message, f"known keys: {', '.join(_SCHEMA1_KEYS)}"
        )
    suffix = str(value.get("suffix") or SUFFIX)
    if not _SUFFIX.fullmatch(suffix):
        message = f"registry.schema1.suffix: {suffix!r} cannot end a tag"
        reader.problem(("registry", "schema1", "suffix"), message, "write one such as '.s1'")
    found = Platform.parse(str(value.get("platform") or default))
    if found is None:
        message = f"registry.schema1.platform: {value['platform']!r} is not a platform"
        hint = "write OS/ARCH, as in linux/arm64"
        reader.problem(("registry", "schema1", "platform"), message, hint)
        return suffix, default
    return suffix, found


def warn_of_project_page(pages: PageOptions, reader: Reader) -> None:
    """Say that nothing can be pulled by name where the host's root belongs to somebody else."""
    if not pages.by_name:
        reader.problem(
            ("baseurl",),
            f"nothing can be pulled by name: clients ask for /v2/ at the root of "
            f"{pages.host or 'the host'}, and the site is below {pages.baseurl}",
            "use a site at the root of its host, `builder proxy`, or another host for /v2/ "
            "(registry.host)",
            warning=True,
        )
