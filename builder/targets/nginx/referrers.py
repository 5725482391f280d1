"""Lists of referrers of one type in nginx: a file for each type a list has.

`referrers/<digest>?artifactType=a/b` is answered with the file
`referrers/by-type/a/b/<digest>`; a map leads from what was asked for, however
it was percent-encoded, to the folder of a type that is known here.
Source: distribution-spec, "Listing Referrers".
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

from builder.oci.mediatype import GRAMMAR
from builder.output import Data, Output
from builder.targets.nginx.maps import Map

_FILTERED = re.compile(r"v2/.+/referrers/by-type/([^/]+/[^/]+)/[^/]+")


def filtered(output: Output) -> Iterator[Output]:
    """Yield the list of referrers `output` once for each type of artifact in it, with that alone.

    What calls itself something that is not a media type is in the whole list only.
    """
    if not isinstance(output.body, Data):
        return
    document = json.loads(output.body.data)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for descriptor in document["manifests"]:
        found[descriptor.get("artifactType", "")].append(descriptor)
    folder, _, digest = output.path.rpartition("/")
    for artifact_type, descriptors in found.items():
        if GRAMMAR.fullmatch(artifact_type):
            part = {**document, "manifests": descriptors}
            text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
            path = f"{folder}/by-type/{quote(artifact_type, safe='/+')}/{digest}"
            yield output.at(path, body=Data(text.encode()))


def type_of(path: str) -> str:
    """Return the type of artifact that the list at `path` was filtered by, or the empty string."""
    found = _FILTERED.fullmatch(path)
    return unquote(found[1]) if found else ""


def filter_map(types: Iterable[str]) -> Map:
    """Return the map from what a query asks for to the folder of that type."""
    found = Map("registry_filter", "$arg_artifactType")
    for artifact_type in sorted(types):
        text = "".join(_query_pattern(char) for char in artifact_type)
        found.patterns.append((f"^{text}$", quote(artifact_type, safe="/+")))
    return found


def _query_pattern(char: str) -> str:
    """Return a pattern for a character as it may stand in a query."""
    if char.isalnum() or char in "_-":
        return char
    code = "".join(f"[{digit}{digit.lower()}]" for digit in f"{ord(char):02X}")
    return f"(?:{re.escape(char)}|%{code})"
