"""What an image config says beside its bytes: when it was made, and what its layers add up to."""

from __future__ import annotations

import hashlib

import pytest

from builder.oci.image import ImageConfig


@pytest.mark.parametrize(
    ("created", "built"),
    [
        ("2025-03-01T10:00:00Z", "2025-03-01T10:00:00Z"),
        ("2025-03-01T10:00:00.123456789Z", "2025-03-01T10:00:00Z"),
        ("2025-03-01T23:30:00-05:00", "2025-03-02T04:30:00Z"),
        ("2025-03-01T10:00:00", "2025-03-01T10:00:00Z"),
        ("2025-03-01", "2025-03-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", ""),
        ("1979-12-31T23:59:59Z", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("9999-12-31T23:59:59-12:00", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_when_an_image_was_built(created: str, built: str) -> None:
    assert ImageConfig.from_json({"created": created}).built == built


def test_chain_ids_are_those_of_the_specification() -> None:
    one, two, three = (f"sha256:{letter * 64}" for letter in "abc")
    both = f"sha256:{hashlib.sha256(f'{one} {two}'.encode()).hexdigest()}"
    every = f"sha256:{hashlib.sha256(f'{both} {three}'.encode()).hexdigest()}"
    config = ImageConfig.from_json({"rootfs": {"type": "layers", "diff_ids": [one, two, three]}})
    assert config.chain_ids == (one, both, every)
    assert ImageConfig().chain_ids == ()
