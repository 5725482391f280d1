from __future__ import annotations

import io

import pytest

from builder.oci.digest import (
    Digest,
    DigestError,
    SizeError,
    VerifiedReader,
    looks_like_digest,
)

HEX = "a" * 64


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_registered(text: str) -> None:
    digest = Digest(text)
    assert f"{digest.algorithm}:{digest.encoded}" == text
    assert digest.referrers_tag == f"{digest.algorithm}-{HEX}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256:{HEX}a",
        f"sha256:{HEX[1:]}",
        f"sha512:{HEX}",
        "sha384:" + "a" * 96,
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:../../../../etc/passwd",
        "sha256:" + "\uff41" * 64,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(DigestError):
        Digest(text)


def test_any_algorithm_has_a_grammar() -> None:
    assert looks_like_digest("md5:d41d8cd98f00b204e9800998ecf8427e")
    assert not looks_like_digest("md5:../x")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_matches_its_own_bytes_only(algorithm: str) -> None:
    digest = Digest.of(b"x", algorithm)
    assert digest.matches(b"x")
    assert not digest.matches(b"y")


@pytest.mark.parametrize(
    ("data", "size", "kind"),
    [(b"abc", 3, None), (b"abd", 3, DigestError), (b"ab", 3, SizeError), (b"abcd", 3, SizeError)],
)
def test_reading(data: bytes, size: int, kind: type[DigestError] | None) -> None:
    reader = VerifiedReader(io.BytesIO(data), Digest.of(b"abc"), size)
    if kind is None:
        assert b"".join(iter(lambda: reader.read(2), b"")) == data
        return
    with pytest.raises(kind):
        list(iter(lambda: reader.read(2), b""))


def test_an_endless_source_is_read_no_further_than_its_size() -> None:
    class Endless(io.RawIOBase):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.count += size or 0
            return b"x" * (size or 0)

    endless = Endless()
    reader = VerifiedReader(endless, Digest.of(b"abc"), 10)  # type: ignore[arg-type]
    with pytest.raises(SizeError):
        list(iter(reader.read, b""))
    assert endless.count == 11
