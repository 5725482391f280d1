"""What a kind of host takes at most: bytes in a file, bytes and files in a site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.errors import Problem
from builder.output import Capabilities

_SHOWN = 20  # files that are named; what is wrong with one is mostly wrong with all


def too_large(capabilities: Capabilities, files: Iterable[tuple[str, int]]) -> Iterator[Problem]:
    """Yield a problem for each of the first files, path and bytes, that the host refuses."""
    limit = capabilities.max_file
    found = sorted((path, size) for path, size in files if 0 < limit < size)
    for path, size in found[:_SHOWN]:
        message = f"is {size:,} bytes; {capabilities.title} takes files of up to {limit:,}"
        yield Problem(path, message=message, hint=_way_out(capabilities))
    if len(found) > _SHOWN:
        rest = f"and {len(found) - _SHOWN:,} more files are larger than {limit:,} bytes"
        yield Problem(found[_SHOWN][0], message=rest, hint=_way_out(capabilities))


def too_much(capabilities: Capabilities, origin: str, size: int, files: int) -> Iterator[Problem]:
    """Yield a problem for a site of more bytes or files than the host takes."""
    title, hint = capabilities.title, _way_out(capabilities)
    if 0 < capabilities.max_site < size:
        message = f"the site is {size:,} bytes; {title} takes {capabilities.max_site:,}"
        yield Problem(origin, message=message, hint=hint)
    if 0 < capabilities.max_files < files:
        message = f"the site has {files:,} files; {title} takes {capabilities.max_files:,}"
        yield Problem(origin, message=message, hint=hint)


def _way_out(capabilities: Capabilities) -> str:
    ways = ["serve /v2/ from another host (registry.host)", "remove old tags"]
    if capabilities.redirects:
        ways.insert(
            0, "keep layers in other storage, which this host redirects to (registry.blobs)"
        )
    return ", or ".join(ways)
