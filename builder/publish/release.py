"""`release.json`: which files a published site consists of, signed as one whole.

    {"payloadType": "application/vnd.static-container-registry.release.v1+json",
     "payload": "<base64>", "signatures": [{"keyid": "9f2c...", "sig": "<base64>"}]}

The envelope is DSSE's (https://github.com/secure-systems-lab/dsse), so that
the signature is over exact bytes and stands in the same file as they do: one
rename or one put replaces both. The payload names lists by digest,

    {"generation": 7, "time": "2024-05-01T12:00:00Z", "name": "https://example.org",
     "files": 2, "bytes": 40, "lists": [{"digest": "sha256:...", "size": 131}]}

and a list has one file a line: `["path",size,"sha256:..."]`. Lists are cut
where the hash of a path says so: a change of a few files changes a few
lists, and neither maker nor reader holds more than one of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

from builder.errors import ContentError
from builder.oci import strictjson
from builder.oci.digest import Digest, DigestError
from builder.output import Entry
from builder.publish.signing import PublicKey, SigningKey

RELEASE = "release.json"
LISTS = "api/release/"  # the folder of the lists; each is named by its digest
PAYLOAD_TYPE = "application/vnd.static-container-registry.release.v1+json"
MAX_GENERATION = 1 << 31  # a number that nobody gets to by publishing
MAX_LIST = 1 << 20  # bytes after which a list ends, wherever it is
_CUT = 1024  # files in a list, on average
_LONGEST = 64 << 10  # bytes of a line
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Listed(NamedTuple):
    """One file of a release: its path below the site's root, bytes, and their digest."""

    path: str
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True, order=True)
class FileList:
    """A list of files, by the digest and size in bytes of its own text."""

    digest: Digest
    size: int

    @property
    def path(self) -> str:
        """Where the list is, below the site's root."""
        return f"{LISTS}{self.digest.encoded}.json"


@dataclass(frozen=True, slots=True)
class Release:
    """One release. Of two releases of a site the later has the higher `generation`.

    `time` is ISO 8601 in UTC, `name` says which site it is, `files` counts what
    the lists name and `size` its bytes. `signatures` are pairs of a key's name
    and its signature; `checked_by` is the key that a signature was checked
    with, empty when none was; after `expires`, if it is not empty, somebody
    should have published again.
    """

    generation: int
    time: str
    name: str
    files: int
    size: int
    lists: tuple[FileList, ...]
    signatures: tuple[tuple[str, bytes], ...] = ()
    checked_by: str = ""
    payload: bytes = field(default=b"", repr=False)
    expires: str = ""

    @property
    def digest(self) -> Digest:
        """The digest of what is signed: equal releases have equal ones, however signed."""
        return Digest.of(self.payload)

    def to_bytes(self) -> bytes:
        """Return the file `release.json`; `read_release` is the inverse."""
        document = {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [
                {"keyid": name, "sig": base64.b64encode(signature).decode()}
                for name, signature in self.signatures
            ],
        }
        return json.dumps(document, indent=1).encode() + b"\n"


def make_release(
    entries: Iterable[Entry],
    generation: int,
    key: SigningKey | None,
    time: str,
    *,
    name: str,
    expires: str = "",
    keep: Callable[[str, bytes], None],
) -> Release:
    """Return release number `generation` of `entries`, in byte order of their paths.

    Entries without bytes of their own (redirects) are left out. Each list is
    handed to `keep` with its path, one at a time; all of them must be in
    place before the release is. `time`, and `expires` if there is an end, are
    ISO 8601 in UTC, as `2024-05-01T12:00:00Z`; without `key` the release is
    not signed.
    """
    lists, files, size = [], 0, 0
    for rows in _cut(entry for entry in entries if not entry.location):
        text = b"[\n" + b",\n".join(map(_line, rows)) + b"\n]\n"
        made = FileList(Digest.of(text), len(text))
        keep(made.path, text)
        lists.append(made)
        files += len(rows)
        size += sum(row.size for row in rows)
    document = {
        "generation": generation,
        "time": time,
        **({"expires": expires} if expires else {}),
        "name": name,
        "files": files,
        "bytes": size,
        "lists": [{"digest": item.digest, "size": item.size} for item in lists],
    }
    payload = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    signatures = ((key.public.id, key.sign(_signed(payload))),) if key else ()
    return replace(_release(document, payload, signatures), checked_by=key.public.id if key else "")


def read_release(
    data: bytes, public_keys: Sequence[PublicKey] = (), label: str = RELEASE
) -> Release:
    """Return the release in the bytes of `release.json`.

    With `public_keys` one of them must have signed it; without any a
    signature is not checked. Raises ContentError naming `label`.
    """
    try:
        envelope = strictjson.loads(data, what="the release")
        payload, signatures = _opened(envelope)
        document = strictjson.loads(payload, what="its payload")
        release = _release(document, payload, signatures)
    except strictjson.StrictJSONError as error:
        raise ContentError.at(label, error.message) from None
    except (KeyError, TypeError, ValueError, DigestError):
        message = "is not a release that this version understands"
        raise ContentError.at(label, message, "publish the site again") from None
    return _checked(release, public_keys, label)


def read_list(data: bytes, wanted: FileList, label: str) -> tuple[Listed, ...]:
    """Return the files of a list, which must be the one that a release names.

    Raises ContentError naming `label`.
    """
    if len(data) != wanted.size or not wanted.digest.matches(data):
        message = f"is not the list that the release names: {Digest.of(data)}"
        raise ContentError.at(label, message, "this mirror mixes releases, or was changed")
    try:
        rows = strictjson.loads(data, what="the list")
        found = tuple(Listed(_path(path), _count(size), Digest(text)) for path, size, text in rows)
    except strictjson.StrictJSONError as error:
        raise ContentError.at(label, error.message) from None
    except (TypeError, ValueError, DigestError):
        raise ContentError.at(label, "is not a list of paths, sizes and digests") from None
    paths = [row.path.encode("utf-8") for row in found]
    if any(one >= two for one, two in pairwise(paths)):
        raise ContentError.at(label, "its paths are not in byte order, each once")
    return found


def _cut(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield runs of entries that end where the hash of a path, or their length, says so."""
    rows: list[Entry] = []
    length = 0
    for entry in entries:
        rows.append(entry)
        length += len(entry.path) + 160
        mark = hashlib.blake2b(entry.path.encode(), digest_size=4).digest()
        if int.from_bytes(mark, "big") % _CUT == 0 or length > MAX_LIST:
            yield rows
            rows, length = [], 0
    if rows:
        yield rows


def _line(entry: Entry) -> bytes:
    row = [entry.path, entry.size, entry.digest]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _signed(payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of the payload."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _opened(envelope: Any) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise ValueError
    signatures = tuple(
        (_text(item["keyid"]), _bytes(item["sig"])) for item in envelope["signatures"]
    )
    return _bytes(envelope["payload"]), signatures


def _release(document: Any, payload: bytes, signatures: tuple[tuple[str, bytes], ...]) -> Release:
    lists = tuple(
        FileList(Digest(item["digest"]), _count(item["size"])) for item in document["lists"]
    )
    time, expires = _text(document["time"]), _text(document.get("expires", ""))
    generation = _count(document["generation"])
    if not TIME.fullmatch(time) or (expires and not TIME.fullmatch(expires)):
        raise ValueError
    if not 1 <= generation <= MAX_GENERATION:
        raise ValueError
    return Release(
        generation, time, _text(document["name"]), _count(document["files"]),
        _count(document["bytes"]), lists, signatures, "", payload, expires,
    )  # fmt: skip


def _checked(release: Release, public_keys: Sequence[PublicKey], label: str) -> Release:
    if not public_keys:
        return release
    if not release.signatures:
        message = "is not signed, although a public key is known"
        raise ContentError.at(label, message, "publish with --key, or ask who serves this")
    for key in public_keys:
        if is_signed_by(release, key):
            return replace(release, checked_by=key.id)
    known = ", ".join(key.id for key in public_keys)
    names = ", ".join(sorted({name for name, _ in release.signatures}))
    message = f"no key that is known ({known}) made its signature (which says {names})"
    raise ContentError.at(label, message, "trust nothing here until you know why")


def is_signed_by(release: Release, key: PublicKey) -> bool:
    """Tell whether one of a release's signatures is the key's, whatever name it goes by."""
    signed = _signed(release.payload)
    return any(key.verifies(signature, signed) for _, signature in release.signatures)


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(_text(text), validate=True)
    except binascii.Error:
        raise ValueError from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _path(value: Any) -> str:
    """Return a path that stays below the root it is joined to."""
    parts = _text(value).split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\0" in value or len(value) > _LONGEST:
        raise ValueError
    return str(value)
