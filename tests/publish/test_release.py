"""Releases: what is signed, what is refused, and how lists stay small and stable."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from builder.errors import ContentError
from builder.oci.digest import Digest
from builder.output import Entry
from builder.publish.release import (
    MAX_GENERATION,
    MAX_LIST,
    PAYLOAD_TYPE,
    FileList,
    Release,
    make_release,
    read_list,
    read_release,
)
from builder.publish.signing import PublicKey, SigningKey

TIME = "2024-05-01T12:00:00Z"
KEY = SigningKey.parse(base64.b64encode(bytes(range(32))).decode(), "key")
OTHER = SigningKey.make().public


def entry(path: str, data: bytes = b"body", *, location: str = "") -> Entry:
    digest = "" if location else Digest.of(data)
    return Entry(path, "text/plain", (), digest, len(data), location)


def made(
    *paths: str, previous: Release | None = None, key: SigningKey | None = KEY
) -> tuple[Release, dict[str, bytes]]:
    lists: dict[str, bytes] = {}
    entries = [entry(path) for path in sorted(paths)]
    generation = previous.generation + 1 if previous else 1
    release = make_release(
        entries, generation, key, TIME, name="https://example.org", keep=lists.__setitem__
    )
    return release, lists


def test_what_is_written_is_what_is_read() -> None:
    release, lists = made("a", "b/c.html", "ü")
    found = read_release(release.to_bytes(), [OTHER, KEY.public])
    assert found == release
    assert found.checked_by == KEY.public.id
    assert (found.generation, found.time, found.files, found.size) == (1, TIME, 3, 12)
    rows = [row for item in found.lists for row in read_list(lists[item.path], item, item.path)]
    assert [row.path for row in rows] == ["a", "b/c.html", "ü"]
    assert rows[0].digest == Digest.of(b"body")


def test_equal_input_gives_equal_bytes_and_generations_go_up() -> None:
    first, _ = made("a")
    again, _ = made("a")
    second, _ = made("a", previous=first)
    assert first.to_bytes() == again.to_bytes()
    assert second.generation == 2
    assert second.lists == first.lists
    assert second.digest != first.digest


def test_redirects_have_no_row() -> None:
    lists: dict[str, bytes] = {}
    entries = [entry("a"), entry("b", location="https://elsewhere.example")]
    release = make_release(entries, 1, None, TIME, name="", keep=lists.__setitem__)
    assert release.files == 1
    assert b'"b"' not in b"".join(lists.values())


def test_the_signature_is_dsse_over_exact_bytes() -> None:
    """By the envelope's own rules, without our code."""
    document = json.loads(made("a")[0].to_bytes())
    payload = base64.b64decode(document["payload"])
    kind = PAYLOAD_TYPE.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signature = base64.b64decode(document["signatures"][0]["sig"])
    assert KEY.public.verifies(signature, signed)
    assert not KEY.public.verifies(signature, payload)
    assert not OTHER.verifies(signature, signed)


def _payload(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        inner = json.loads(base64.b64decode(document["payload"]))
        change(inner)
        document["payload"] = base64.b64encode(json.dumps(inner).encode()).decode()

    return edit


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another generation": (_payload(lambda it: it.update(generation=99)), "made its signature"),
    "another list": (_payload(lambda it: it["lists"].clear()), "made its signature"),
    "signature taken away": (lambda it: it["signatures"].clear(), "not signed"),
    "signature of nothing": (
        lambda it: it["signatures"][0].update(sig=base64.b64encode(bytes(64)).decode()),
        "made its signature",
    ),
    "short signature": (lambda it: it["signatures"][0].update(sig="AAAA"), "made its signature"),
    "key's name alone": (
        lambda it: it["signatures"][0].update(keyid=OTHER.id),
        "",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(name: str) -> None:
    change, words = FORGERIES[name]
    document = json.loads(made("a")[0].to_bytes())
    change(document)
    data = json.dumps(document).encode()
    if not words:  # the name of a key is a hint, nothing depends on it
        assert read_release(data, [KEY.public]).checked_by == KEY.public.id
        return
    with pytest.raises(ContentError, match=words):
        read_release(data, [KEY.public])


def test_a_key_that_is_not_known_is_refused_and_none_is_not_checked() -> None:
    data = made("a")[0].to_bytes()
    with pytest.raises(ContentError, match="no key that is known"):
        read_release(data, [OTHER])
    assert read_release(data).checked_by == ""
    unsigned = made("a", key=None)[0].to_bytes()
    assert read_release(unsigned).signatures == ()


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "other type": lambda it: it.update(payloadType="text/plain"),
    "payload is no base64": lambda it: it.update(payload="!"),
    "no signatures": lambda it: it.pop("signatures"),
    "signature is a number": lambda it: it["signatures"].append({"keyid": "x", "sig": 1}),
    "payload is a list": lambda it: it.update(payload=base64.b64encode(b"[]").decode()),
    "duplicate key inside": lambda it: it.update(
        payload=base64.b64encode(b'{"generation":1,"generation":2}').decode()
    ),
    "generation 0": _payload(lambda it: it.update(generation=0)),
    "generation true": _payload(lambda it: it.update(generation=True)),
    "generation 1.5": _payload(lambda it: it.update(generation=1.5)),
    "time in words": _payload(lambda it: it.update(time="yesterday")),
    "list without size": _payload(lambda it: it["lists"][0].pop("size")),
    "list of another algorithm": _payload(lambda it: it["lists"][0].update(digest="md5:00")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_release(name: str) -> None:
    document = json.loads(made("a")[0].to_bytes())
    BROKEN[name](document)
    with pytest.raises(ContentError) as caught:
        read_release(json.dumps(document).encode(), label="https://example.org/release.json")
    assert str(caught.value).startswith("https://example.org/release.json: ")


@pytest.mark.parametrize(
    "text",
    [
        '["../a",1,"%s"]', '["/a",1,"%s"]', '["a//b",1,"%s"]', '["",1,"%s"]', '["a/./b",1,"%s"]',
        '["a\\u0000",1,"%s"]', '["a",-1,"%s"]', '["a",1.0,"%s"]', '["a",1,"md5:%s"]', '["a",1]',
        '["b",1,"%s"],["a",1,"%s"]', '["a",1,"%s"],["a",1,"%s"]', '{"a":"%s"}',
    ],
)  # fmt: skip
def test_lists_that_lie(text: str) -> None:
    data = b"[" + text.replace("%s", Digest.of(b"")).encode() + b"]"
    with pytest.raises(ContentError):
        read_list(data, FileList(Digest.of(data), len(data)), "list")


def test_a_list_of_another_release_is_seen() -> None:
    (old, lists), (new, _) = made("a"), made("b")
    with pytest.raises(ContentError, match="not the list that the release names"):
        read_list(lists[old.lists[0].path], new.lists[0], "list")


def test_a_change_of_one_file_changes_one_list() -> None:
    paths = [f"v2/name{number}/manifests/latest" for number in range(20_000)]
    before, old = made(*paths)
    after, new = made(*paths, "v2/name1/manifests/new", previous=before)
    assert 5 < len(before.lists) < 80
    assert len(new.keys() - old.keys()) == 1
    assert after.files == 20_001
    assert max(map(len, old.values())) < 2 * MAX_LIST
    assert len(before.to_bytes()) < 20_000


def test_the_list_of_long_paths_ends_too() -> None:
    paths = [f"{number:05}/" + "x" * 4000 for number in range(2000)]
    _, lists = made(*paths)
    assert max(map(len, lists.values())) < 2 * MAX_LIST


def test_keys_by_any_of_their_forms() -> None:
    pem = KEY.to_pem().decode()
    assert SigningKey.parse(pem, "key").public == KEY.public
    assert PublicKey.parse(KEY.public.text + "\n", "key") == KEY.public
    assert len(KEY.public.id) == 16


@pytest.mark.parametrize("number", [0, -1, MAX_GENERATION + 1, 1 << 63])
def test_a_number_that_nobody_gets_to_is_no_release(number: int) -> None:
    document = json.loads(made("a")[0].to_bytes())
    payload = json.loads(base64.b64decode(document["payload"])) | {"generation": number}
    document["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    with pytest.raises(ContentError, match=r"this version understands|out of range"):
        read_release(json.dumps(document).encode())
