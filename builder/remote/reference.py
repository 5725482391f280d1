"""Where an image of another registry is: host, name, and tag or digest."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from builder.errors import UsageError
from builder.oci.digest import looks_like_digest
from builder.oci.reference import is_any_tag, is_name

DOCKER_IO = "docker.io"
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def parse_address(text: str) -> tuple[str, str, str]:
    """Return host, name and tag or digest of `//HOST/NAME[:TAG|@DIGEST]`.

    A first part without a dot, a colon or `localhost` is no host: docker.io
    is meant, as docker has it. Raises UsageError.
    """
    place, at, digest = text.removeprefix("//").partition("@")
    first, slash, name = place.partition("/")
    is_host = slash and (set(".:[") & set(first) or first == "localhost")
    host, name = (first, name) if is_host else (DOCKER_IO, place)
    name, colon, tag = name.partition(":")
    fault = (
        not _is_host(host)
        or not is_name(name)
        or (colon and not is_any_tag(tag))
        or (at and not looks_like_digest(digest))
    )
    if fault:
        raise UsageError(
            f"docker:{text}: is not an image", "write docker://HOST/NAME[:TAG|@DIGEST]"
        )
    return host, name, digest or tag


def _is_host(text: str) -> bool:
    try:
        return _HOST.fullmatch(text) is not None and urlsplit(f"//{text}").port != 0
    except ValueError:  # a port over 65535, or brackets around nonsense
        return False
