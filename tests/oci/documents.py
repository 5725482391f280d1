"""Documents that are nearly right, for hypothesis: known keys, odd values, odd places."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.images import CONFIG, INDEX, LAYER, MANIFEST

KEYS = (
    "schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType",
    "annotations", "digest", "size", "urls", "data", "platform", "os", "architecture", "variant",
    "os.version", "os.features", "rootfs", "diff_ids", "type", "history", "created", "created_by",
    "empty_layer", "author", "Env", "Labels", "Cmd", "Entrypoint", "ExposedPorts", "Volumes",
    "fsLayers", "Layers", "Manifests", "blobs",
)  # fmt: skip
TYPES = (MANIFEST, INDEX, CONFIG, LAYER, "text/html", "application/vnd.oci.empty.v1+json", "x", "")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from((*TYPES, "sha256:" + "0" * 64, "sha512:" + "1" * 128, "md5:x", "linux", "2")),
    st.text(max_size=20),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=5),
    ),
    max_leaves=20,
)


def as_bytes(value: Any) -> bytes:
    """Return a value as JSON, half surrogate pairs, NaN and all."""
    return json.dumps(value).encode()


@st.composite
def nearly(draw: st.DrawFn, right: dict[str, Any]) -> bytes:
    """A document with up to four of its values, at any depth, replaced, dropped or added."""
    document: Any = json.loads(json.dumps(right))
    for _ in range(draw(st.integers(0, 4))):
        _edit(draw, document)
    raw = as_bytes(document)
    if draw(st.integers(0, 9)):
        return raw
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(st.binary(max_size=6)) + raw[draw(st.integers(at, len(raw))) :]


def _edit(draw: st.DrawFn, document: Any) -> None:
    place = document
    while True:
        keys: Any = sorted(place) if isinstance(place, dict) else range(len(place))
        inner = [key for key in keys if isinstance(place[key], dict | list)]
        if not inner or draw(st.booleans()):
            break
        place = place[draw(st.sampled_from(inner))]
    if isinstance(place, list):
        place.insert(draw(st.integers(0, len(place))), draw(VALUES))
    elif place and draw(st.integers(0, 3)) == 0:
        del place[draw(st.sampled_from(sorted(place)))]
    else:
        place[draw(st.sampled_from((*sorted(place), *KEYS)))] = draw(VALUES)
