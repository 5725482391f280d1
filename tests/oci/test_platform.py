"""Platforms: their names, what fits what, and which of several is meant."""

from __future__ import annotations

import pytest

from builder.oci.platform import Platform, choose


def platform(text: str) -> Platform:
    found = Platform.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/X86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.17763.6532)/amd64", "windows/amd64"),
        ("windows(10.0+win32k)/amd64", "windows/amd64"),
    ],
)
def test_one_name_for_all_names(text: str, short: str) -> None:
    assert platform(text).short == short


@pytest.mark.parametrize(
    "text",
    ["linux/arm64/v8", "windows(10.0.17763.6532)/amd64", "windows(10.0+win32k+other)/amd64",
     "darwin(macOS 14)/arm64", "linux(+erofs)/amd64"],
)  # fmt: skip
def test_written_as_it_is_read(text: str) -> None:
    assert str(platform(text)) == text
    assert Platform.from_json(platform(text).to_json()) == platform(text)


@pytest.mark.parametrize(
    "text", ["linux", "", "linux/", "/amd64", "a/b/c/d", "linux/amd64 ", "a(b/c"]
)
def test_no_platform(text: str) -> None:
    assert Platform.parse(text) is None


@pytest.mark.parametrize("document", [None, 5, [], {}, {"os": "", "architecture": ""}, {"os": 5}])
def test_no_platform_in_json(document: object) -> None:
    assert Platform.from_json(document) is None


@pytest.mark.parametrize(
    ("there", "wanted", "fits"),
    [
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64", "linux/aarch64", True),
        ("linux/amd64", "linux/x86_64", True),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/arm/v6", "linux/arm", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "windows/amd64", False),
        ("windows(10.0.17763.6532)/amd64", "windows/amd64", True),
        ("windows(10.0.17763.6532)/amd64", "windows(10.0.17763)/amd64", True),
        ("windows(10.0.17763.6532)/amd64", "windows(10.0.1776)/amd64", False),
        ("windows/amd64", "windows(10.0.17763)/amd64", False),
        ("windows(10.0+win32k)/amd64", "windows(+win32k)/amd64", True),
        ("windows(10.0)/amd64", "windows(+win32k)/amd64", False),
    ],
)
def test_fits(there: str, wanted: str, *, fits: bool) -> None:
    assert platform(there).fits(platform(wanted)) is fits


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64", ["linux/amd64"]),
        (["linux/amd64/v3"], "linux/amd64", ["linux/amd64/v3"]),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm", ["linux/arm/v7"]),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm/v6", ["linux/arm/v6"]),
        (["windows(1)/amd64", "windows(2)/amd64"], "windows/amd64",
         ["windows(1)/amd64", "windows(2)/amd64"]),
        (["linux/arm64"], "linux/riscv64", []),
        (["linux/amd64", "linux/arm64"], "linux/amd64/v2", ["linux/amd64"]),
        (["linux/amd64", "linux/amd64/v3"], "linux/amd64/v2", ["linux/amd64"]),
        (["linux/amd64", "linux/amd64/v2"], "linux/x86_64/v4", ["linux/amd64/v2"]),
        (["linux/amd64/v3"], "linux/amd64/v2", []),
        (["linux/amd64/v2"], "linux/amd64/v1", []),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", ["linux/arm/v6"]),
        (["linux/arm/v6"], "linux/arm", ["linux/arm/v6"]),
        (["linux/arm/v7"], "linux/arm/v6", []),
        (["linux/arm64"], "linux/arm64/v9", ["linux/arm64"]),
        (["linux/arm64", "linux/arm64/v8.1"], "linux/arm64/v8.2", ["linux/arm64/v8.1"]),
        (["linux/arm64"], "linux/arm64/v8.2", ["linux/arm64"]),
        (["linux/mips64le/hardfloat"], "linux/mips64le/softfloat", []),
        (["linux/ppc64le/v9"], "linux/ppc64le/v10", []),
        (["windows(10.0.1)/amd64"], "windows(10.0.1)/amd64/v2", ["windows(10.0.1)/amd64"]),
    ],
)  # fmt: skip
def test_the_one_that_is_meant(there: list[str], wanted: str, chosen: list[str]) -> None:
    items = [(platform(text), text) for text in there]
    assert choose([(None, "none"), *items], platform(wanted)) == chosen
