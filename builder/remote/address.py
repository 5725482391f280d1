"""Which machines may be talked to: addresses, checked before a connection is made.

A registry, a redirect or a realm can name any host, and a host can resolve to
any address. What a user named is trusted as far as it goes; what a server
named must be public, or as near as the server itself is.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence

from builder.errors import RemoteError

CONNECT_SECONDS = 10
# Where clouds answer questions about secrets, beside the link-local 169.254.0.0/16.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"))
)
_SECRETS = "the server is set up wrongly, or somebody wants what only this machine may ask"
# Of IPv6 what the internet uses, and what networks use for themselves (RFC 4291, RFC 4193).
# All else is for programs that translate: an IPv4 address may be in it, of any kind.
_UNICAST = tuple(map(ipaddress.IPv6Network, ("2000::/3", "fc00::/7")))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(host: str) -> bool:
    """Tell whether a host's name, without a port, is this machine by definition."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return _plain(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Policy:
    """Decides about addresses; `name` a host to trust it.

    A host that was not named must resolve to public addresses, or to ones of
    the same kind (loopback, private) as a host that was, when it was first
    looked up and in all its addresses: whoever owns a name's records must
    not widen what may be asked by changing or mixing them.
    """

    def __init__(self) -> None:
        self._named: dict[str, bool] = {}  # and whether it was looked up
        self._kinds: set[str] = {"public"}

    def name(self, host: str) -> None:
        """Trust a host that the user wrote."""
        self._named.setdefault(host.strip("[]").lower(), False)

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to a host at an address that is allowed.

        Raises RemoteError for an address that is not, or a name nobody knows;
        OSError when nobody answers.
        """
        failure: OSError | None = None
        for family, address in list(self._resolve(host, port)):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect((str(address), port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure or OSError(f"{host} has no address")

    def check_address(self, host: str) -> None:
        """Raise RemoteError for a host that is an address which is not allowed."""
        try:
            address = _plain(host.strip("[]"))
        except ValueError:
            return  # a name: it shows when it is looked up
        self._check(host.strip("[]").lower(), [address])

    def _resolve(self, host: str, port: int) -> Iterator[tuple[int, Address]]:
        name = host.strip("[]").lower()
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            message = f"{name}: the name does not resolve ({error.args[-1]})"
            raise RemoteError(message, "is it spelled right, and the network up?") from None
        places = [(family, str(place[0]).partition("%")[0]) for family, *_, place in found]
        self._check(name, [_plain(text) for _, text in places])
        for family, text in places:
            yield family, ipaddress.ip_address(text)

    def _check(self, name: str, addresses: Sequence[Address]) -> None:
        """Raise RemoteError for a name that has an address which is not allowed."""
        kinds = {_kind(address) for address in addresses}
        if is_loopback(name) and kinds != {"loopback"}:
            message = f"{name} is at {addresses[0]}, which is not this machine"
            raise RemoteError(message, "mend the name server, or write the address")
        if name in self._named:
            if not self._named[name] and len(kinds) == 1:
                self._kinds |= kinds - {"special"}
            self._named[name] = True
            return
        for address in addresses:
            if (kind := _kind(address)) not in self._kinds:
                message = f"{name} is at {address}, a {kind} address"
                hint = _SECRETS if kind == "special" else "name the host yourself if you trust it"
                raise RemoteError(f"{message}, which no server may send us to", hint)


def _plain(text: str) -> Address:
    """Return an address, with an IPv4 address taken out of what wraps it."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _is_unicast(address: Address) -> bool:
    return address.version == 4 or any(address in network for network in _UNICAST)


def _kind(address: Address) -> str:
    if address.is_loopback:
        return "loopback"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "special"
    if address in _METADATA or not _is_unicast(address):
        return "special"
    return "public" if address.is_global else "private"
