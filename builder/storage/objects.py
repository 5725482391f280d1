"""Objects in a bucket: S3 and all that speaks it, Google Cloud Storage, Azure.

Keys are `/`-separated texts below the prefix that the bucket's URL gives.
This file knows requests and what goes wrong with them; it knows nothing of
blobs, releases or pages.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from builder.errors import LocalError, RemoteError, UsageError, conceal, redacted
from builder.storage.object_faults import ConflictError, faults

SCHEMES = ("s3", "gs", "az")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Nothing that a URL, or one of the servers, could read as something else.
_PREFIX = re.compile(r"(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$'()+,;=@&-]+(?:/(?!$)|$))*")
SINGLE = 8 << 20  # bytes; what is larger goes up in parts of this size
_MOST_PARTS = 9_000  # a multipart upload may have 10,000
_PARTS_AT_ONCE = 4
_PAGE = 1_000  # keys of one listing's answer
_MOST_READ = 512 << 20  # bytes of an object that is held whole
_SECRETS = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_SERVICE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN",
)  # fmt: skip


class Stat(NamedTuple):
    """An object that is there.

    `size` is in bytes, `etag` and `version` are the server's; `attributes`
    has the headers and the metadata, and is empty in a listing.
    """

    key: str
    size: int
    etag: str
    version: str
    modified: datetime
    attributes: Mapping[str, str]


class ObjectStore:
    """A bucket, or what is below a prefix in one. `label` names it in messages."""

    def __init__(self, store: Any, prefix: str, label: str, slashed: _Slashed | None) -> None:
        self._store = store
        self._prefix = f"{prefix}/" if prefix else ""
        self._slashed = slashed
        self.label = label

    @property
    def slash_keys(self) -> bool:
        """Whether objects can have keys that end in a slash."""
        return self._slashed is not None

    def put(
        self,
        key: str,
        body: bytes,
        attributes: Mapping[str, str],
        *,
        only_if: Literal["absent"] | Stat | None = None,
    ) -> None:
        """Write an object in one request.

        `attributes` are `Content-Type`, `Cache-Control` and other headers, and
        metadata under names of its own. With `only_if` the object is written
        when it is absent, or still as the Stat says: else ConflictError.
        Raises RemoteError.
        """
        if isinstance(only_if, Stat):
            self._replace(key, body, attributes, only_if)
        else:
            self._put(key, body, attributes, "create" if only_if else None)

    def _replace(self, key: str, body: bytes, attributes: Mapping[str, str], seen: Stat) -> None:
        expected = {"e_tag": seen.etag, "version": seen.version}
        mode = {name: value for name, value in expected.items() if value}
        try:
            self._put(key, body, attributes, mode)
        except ConflictError:
            now = self.head(key)
            if now is None or not seen.etag or now.etag != seen.etag:
                raise
            # Ceph's gateway compares with the bare text, though RFC 9110 quotes an ETag.
            self._put(key, body, attributes, {"e_tag": seen.etag.strip('"')})

    def _put(self, key: str, body: bytes, attributes: Mapping[str, str], mode: Any) -> None:
        store, name = self._place(key)
        with self._faults(key):
            store.put(name, body, attributes=dict(attributes), mode=mode, use_multipart=False)

    def upload(
        self, key: str, pieces: Iterable[bytes], size: int, attributes: Mapping[str, str]
    ) -> None:
        """Write an object of `size` bytes from pieces, never held whole; raises RemoteError.

        The object appears when all of it is there. What `pieces` raises ends
        the upload.
        """
        part = max(SINGLE, -(-size // _MOST_PARTS))
        failed: list[Exception] = []
        try:
            with self._faults(key):
                self._store.put(
                    self._prefix + key,
                    _watched(pieces, failed),
                    attributes=dict(attributes),
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        except RemoteError:
            if failed:  # the library words a fault of ours as one of its own
                raise failed[0] from None
            raise

    def head(self, key: str) -> Stat | None:
        """Return an object's size, headers and metadata; None when it is not there."""
        store, name = self._place(key)
        try:
            with self._faults(key):
                found = store.get(name, options={"head": True})
                return _stat(found.meta, key, dict(found.attributes))
        except FileNotFoundError:
            return None

    def get(self, key: str) -> tuple[bytes, Stat] | None:
        """Return an object's bytes and what it is; None when it is not there."""
        try:
            with self._faults(key):
                found = self._store.get(self._prefix + key)
                stat = _stat(found.meta, key, dict(found.attributes))
                if stat.size > _MOST_READ:
                    raise RemoteError(f"{self.label}/{key}: {stat.size} bytes are too many")
                return bytes(found.bytes()), stat
        except FileNotFoundError:
            return None

    def open(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from `start` on; raises FileNotFoundError, RemoteError."""
        with self._faults(key):
            options = {"range": {"offset": start}} if start else {}
            found = self._store.get(self._prefix + key, options=options)
            for piece in found.stream(min_chunk_size=1 << 20):
                yield bytes(piece)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield the objects below `prefix`, which ends in a slash or is empty.

        One whose key ends in a slash is listed without it.
        """
        with self._faults(prefix):
            for page in self._store.list(self._prefix + prefix or None, chunk_size=_PAGE):
                for meta in page:
                    yield _stat(meta, meta["path"].removeprefix(self._prefix), {})

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        store, name = self._place(key)
        with suppress(FileNotFoundError), self._faults(key):
            store.delete(name)

    def _place(self, key: str) -> tuple[Any, str]:
        """Return the store and the name that reach `key`: the library drops a last slash."""
        if not key.endswith("/"):
            return self._store, self._prefix + key
        if self._slashed is None:
            raise RemoteError(f"{self.label}: keys cannot end in a slash here")
        return self._slashed.open(self._prefix + key), ""

    def _faults(self, key: str) -> AbstractContextManager[None]:
        return faults(f"{self.label}/{key}".rstrip("/") if key else self.label)


class _Slashed(NamedTuple):
    """How to reach keys that end in a slash.

    The library strips a key's last slash, but joins address, bucket and key
    with slashes itself: the empty key of a bucket called `v2` is `v2/`.
    """

    kind: Any
    root: str  # the URL of the true bucket
    address: str  # the option that takes an address
    options: Mapping[str, Any]

    def open(self, key: str) -> Any:
        """Return a store whose empty key is `key`, which ends in a slash."""
        root = f"{self.root}/{key[:-1]}" if self.address == "endpoint" else self.root
        above, _, name = key[:-1].rpartition("/")
        if self.address == "base_url" and above:
            root = f"{root}/{above}"
        return self.kind(name, **{self.address: root}, **self.options)


def parse_bucket(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and prefix of `s3://BUCKET/PREFIX`; raises UsageError."""
    scheme, bucket, prefix = _parts(url)
    prefix = prefix.rstrip("/")
    if _PREFIX.fullmatch(prefix) is None:
        message = f"{url}: {prefix!r} is not a plain path below a bucket"
        raise UsageError(message, "use letters, digits, dashes and dots, with one slash between")
    return scheme, bucket, prefix


def parse_object(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key of `s3://BUCKET/KEY`, which others named; raises UsageError."""
    scheme, bucket, key = _parts(url)
    if not key or key.endswith("/"):
        raise UsageError(f"{url}: names no object", f"write {scheme}://BUCKET/KEY")
    if not key.isprintable() or {"", ".", ".."} & set(key.split("/")):
        hint = "copy it to a key whose parts are names, with one slash between"
        raise UsageError(f"{url}: an object of this key cannot be read", hint)
    return scheme, bucket, key


def _parts(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme not in SCHEMES or _BUCKET.fullmatch(bucket) is None:
        hint = "write s3://BUCKET/PREFIX, gs://, az://, or a folder"
        raise UsageError(f"{url}: names no bucket", hint)
    return scheme, bucket, path


def open_objects(
    url: str, *, endpoint: str = "", insecure: bool = False, ca: str = ""
) -> ObjectStore:
    """Return the bucket that `s3://BUCKET/PREFIX`, `gs://...` or `az://CONTAINER/...` names.

    Credentials are those of the environment (`AWS_ACCESS_KEY_ID` and so on);
    `endpoint`, or `AWS_ENDPOINT_URL`, is where another server than the cloud's
    own is. Raises UsageError for a URL that makes no sense, and for plain http
    off this machine unless `insecure`; LocalError for a `ca` file that cannot
    be read; RemoteError where the environment does not say enough.
    """
    scheme, bucket, prefix = parse_bucket(url)
    for name in _SECRETS:
        conceal(os.environ.get(name, ""))
    endpoint = (endpoint or _endpoint_of_environment(scheme)).rstrip("/")
    _check_endpoint(endpoint, insecure=insecure)
    options = _options(endpoint, insecure=insecure, ca=ca)
    opened = {"s3": _open_s3, "gs": _open_gs, "az": _open_az}[scheme]
    with faults(f"{scheme}://{bucket}"):
        store, slashed = opened(bucket, endpoint, options)
    return ObjectStore(store, prefix, f"{scheme}://{bucket}/{prefix}".rstrip("/"), slashed)


def _open_s3(bucket: str, endpoint: str, options: dict[str, Any]) -> tuple[Any, _Slashed]:
    from obstore.store import S3Store  # noqa: PLC0415

    environment = os.environ
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    options = {**options, "region": region, "conditional_put": "etag", "disable_bulk_delete": True}
    root = endpoint or f"https://s3.{region}.amazonaws.com"
    store = S3Store(bucket, endpoint=root, virtual_hosted_style_request=False, **options)
    options["virtual_hosted_style_request"] = True
    return store, _Slashed(S3Store, f"{root}/{bucket}", "endpoint", options)


def _open_gs(bucket: str, endpoint: str, options: dict[str, Any]) -> tuple[Any, _Slashed]:
    from obstore.store import GCSStore  # noqa: PLC0415

    root = endpoint or "https://storage.googleapis.com"
    store = GCSStore(bucket, base_url=root, **options)
    return store, _Slashed(GCSStore, f"{root}/{bucket}", "base_url", options)


def _open_az(bucket: str, endpoint: str, options: dict[str, Any]) -> tuple[Any, None]:
    from obstore.store import AzureStore  # noqa: PLC0415

    if endpoint:
        options = {**options, "endpoint": endpoint}
    return AzureStore(bucket, **options), None


def _options(endpoint: str, *, insecure: bool, ca: str) -> dict[str, Any]:
    # A request's whole time is not bounded: what it waits for is.
    client: dict[str, Any] = {
        "allow_http": endpoint.startswith("http://"),
        "allow_invalid_certificates": insecure,
        "connect_timeout": "10s",
        "read_timeout": "2m",
        "timeout": "1day",
    }
    if ca:
        try:
            with open(ca, "rb") as file:
                client["root_certificate"] = file.read(1 << 20)
        except OSError as error:
            raise LocalError(
                f"--ca {ca}: {error.strerror}", "give a file of certificates"
            ) from None
    retry = {"max_retries": 4, "retry_timeout": timedelta(seconds=90)}
    return {"client_options": client, "retry_config": retry}


def _endpoint_of_environment(scheme: str) -> str:
    if scheme == "s3":
        return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return os.environ.get("AZURE_STORAGE_ENDPOINT", "") if scheme == "az" else ""


def _check_endpoint(endpoint: str, *, insecure: bool) -> None:
    """Refuse what is no URL, and to send signed requests in the clear off this machine."""
    if not endpoint:
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        message = f"--endpoint {redacted(endpoint)}: is not the URL of a server"
        raise UsageError(message, "write https://HOST or https://HOST:PORT")
    if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname):
        message = f"{endpoint}: plain http would show everybody on the way what is sent"
        raise UsageError(message, "use https, or --insecure when the network is yours")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _watched(pieces: Iterable[bytes], failed: list[Exception]) -> Iterator[bytes]:
    """Yield the pieces; remember what they raise."""
    try:
        yield from pieces
    except Exception as error:
        failed.append(error)
        raise


def _stat(meta: Any, key: str, attributes: Mapping[str, str]) -> Stat:
    etag, version = meta["e_tag"] or "", meta["version"] or ""
    return Stat(key, meta["size"], etag, version, meta["last_modified"], attributes)
