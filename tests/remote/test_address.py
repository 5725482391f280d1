"""Which machines may be talked to, whatever form their address is written in."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from builder.errors import RemoteError
from builder.remote.address import Policy, is_loopback

REFUSED = [
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "::ffff:169.254.169.254",
    "fe80::1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "::",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "224.0.0.1",
    "::a9fe:a9fe", "::7f00:1", "64:ff9b:1::a9fe:a9fe", "::ffff:0:a9fe:a9fe", "fec0::1", "5f00::1",
]  # fmt: skip
NEAR = ["127.0.0.1", "127.1", "2130706433", "::1", "::ffff:127.0.0.1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]


def policy(*named: str) -> Policy:
    """A policy whose user has named some hosts and reached them."""
    found = Policy()
    for host in named:
        found.name(host)
        list(found._resolve(host, 80))
    return found


def allows(found: Policy, host: str) -> bool:
    try:
        return bool(list(found._resolve(host, 80)))
    except RemoteError:
        return False


@pytest.mark.parametrize("host", [*REFUSED, *NEAR, *PRIVATE])
def test_what_a_public_registry_may_not_name(host: str) -> None:
    found = policy("93.184.215.14")
    assert not allows(found, host)
    with pytest.raises(RemoteError, match="no server may send us to"):
        found.connect(host, 80)


def test_what_a_public_registry_may_name() -> None:
    assert allows(policy("93.184.215.14"), "8.8.8.8")
    assert allows(policy("93.184.215.14"), "2606:4700::1111")


@pytest.mark.parametrize("host", NEAR)
def test_loopback_may_name_loopback(host: str) -> None:
    assert allows(policy("localhost"), host)


@pytest.mark.parametrize("host", [*REFUSED, *PRIVATE])
def test_loopback_may_name_nothing_else_that_is_near(host: str) -> None:
    assert not allows(policy("127.0.0.1"), host)


def test_private_may_name_private_and_no_metadata() -> None:
    found = policy("10.0.0.1")
    assert all(allows(found, host) for host in PRIVATE)
    assert not any(allows(found, host) for host in (*REFUSED, *NEAR))


def test_what_the_user_names_is_asked_and_nothing_beside_it() -> None:
    found = policy("169.254.169.254")
    assert allows(found, "169.254.169.254")
    assert not allows(found, "169.254.169.253")


def resolving(
    monkeypatch: pytest.MonkeyPatch, *answers: list[str], host: str = "evil.example"
) -> None:
    """Let every look-up of `host` give the next of some answers."""
    left = list(answers)

    def look_up(name: str, port: int, **_: Any) -> list[Any]:
        addresses = left.pop(0) if name == host else [name]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, port)) for item in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    "answers",
    [[["93.184.215.14", "127.0.0.1"]], [["93.184.215.14"], ["127.0.0.1"]]],
    ids=["mixed", "changed"],
)
def test_whoever_owns_a_name_opens_no_doors_with_it(
    answers: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, *answers)
    found = Policy()
    found.name("evil.example")
    for _ in answers:
        assert allows(found, "evil.example")
    assert not allows(found, "127.0.0.1")


def test_one_forbidden_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["93.184.215.14", "10.0.0.1"])
    assert not allows(Policy(), "evil.example")


@pytest.mark.parametrize("host", ["", "a..b", "x" * 300, "no.such.host.invalid", "\ud800"])
def test_names_that_are_none(host: str) -> None:
    with pytest.raises(RemoteError, match="does not resolve"):
        Policy().connect(host, 80)


@pytest.mark.parametrize("host", ["localhost", "a.localhost"])
def test_a_name_of_this_machine_leads_nowhere_else(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent there goes in the clear, with secrets; a name server may say what it likes."""
    found = Policy()
    found.name(host)
    for answers, allowed in (
        (["127.0.0.1"], True),
        (["93.184.215.14"], False),
        (["10.0.0.1"], False),
    ):
        resolving(monkeypatch, answers, host=host)
        assert allows(found, host) == allowed


def test_is_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "a.localhost", "127.0.0.1", "[::1]", "127.9.9.9"]))
    assert not any(map(is_loopback, ["example.org", "10.0.0.1", "localhost.example.org", ""]))
