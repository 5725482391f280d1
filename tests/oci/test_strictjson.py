from __future__ import annotations

import pytest

from builder.oci.shapes import CONFIG, MANIFEST
from builder.oci.strictjson import Shape, StrictJSONError, loads


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, "x", null, true, -0]}', {"a": [1, "x", None, True, 0]}),
        (b" 9223372036854775807 ", 2**63 - 1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"[" * 64 + b"]" * 64, None),
        (b'{"Labels": {"a": 1, "A": 2}}', {"Labels": {"a": 1, "A": 2}}),
        (b"[1.5, 1e300]", [1.5, 1e300]),
    ],
)
def test_read(raw: bytes, value: object) -> None:
    assert value is None or loads(raw) == value


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'{"layers": [], "Layers": []}', "case"),
        (b'{"s": 1, "\\u017f": 2}', "case"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"9223372036854775808", "range"),
        (b"[1e999]", "range"),
        (b"[-1e999]", "range"),
        (b'{"x": [{"Labels": {"y": {"a": 1}}, "labels": {}}]}', "case"),
        (b"1" * 5000, "range"),
        (b"{} {}", "extra data"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"\xff", "UTF-8"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 65 + b"]" * 65, "64"),
        (b"[" * 100_000, "deep"),
        (b"", "JSON"),
        (b'{"a": 01}', "JSON"),
        (b'["\x01"]', "JSON"),
        (b" " * (5 << 20), "limit"),
    ],
)
def test_refused(raw: bytes, word: str) -> None:
    with pytest.raises(StrictJSONError, match=word):
        loads(raw)


@pytest.mark.parametrize(
    ("shape", "raw", "pointer"),
    [
        (MANIFEST, b'{"Manifests": [], "layers": []}', "/Manifests"),
        (MANIFEST, b'{"layer\xc5\xbf": []}', "/layer\u017f"),
        (MANIFEST, b'{"layers": [{}, {"SIZE": 1}]}', "/layers/1/SIZE"),
        (MANIFEST, b'{"manifests": [{"platform": {"OS": "x"}}]}', "/manifests/0/platform/OS"),
        (CONFIG, b'{"rootfs": {"Diff_IDs": []}}', "/rootfs/Diff_IDs"),
        (CONFIG, b'{"history": [{"Created_By": ""}]}', "/history/0/Created_By"),
    ],
)
def test_a_key_that_clients_could_take_for_another(shape: Shape, raw: bytes, pointer: str) -> None:
    with pytest.raises(StrictJSONError, match="differs only by case") as caught:
        loads(raw, shape=shape)
    assert caught.value.message.startswith(f"{pointer}:")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"annotations": {"MediaType": "x"}, "Own": 1}',
        b'{"layers": 5, "config": []}',
        b'{"manifests": [{"annotations": {"size": "1", "Size": "2"}}]}',
    ],
)
def test_keys_that_are_the_authors_own(raw: bytes) -> None:
    assert loads(raw, shape=MANIFEST)
