from __future__ import annotations

import pytest

from builder.oci.strictjson import StrictJSONError, loads


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, "x", null, true, -0]}', {"a": [1, "x", None, True, 0]}),
        (b" 9223372036854775807 ", 2**63 - 1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"[" * 64 + b"]" * 64, None),
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
