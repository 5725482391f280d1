"""A site that lies, cuts, stalls and leads astray: nobody takes what is wrong for right."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.errors import BuilderError, LocalError
from builder.oci.digest import Digest
from builder.proxy.cache import BlobCache
from tests.images import INDEX, MANIFEST, Image, as_json, sha256
from tests.page_host import Host, Twists, pages
from tests.proxy.conftest import NAME, Proxied, read, tree
from tests.remote.hostile import big_image

IMAGE = big_image(b"x" * 900_000)
LAYER = max(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))
DATA = IMAGE.blobs[LAYER]
BLOB = f"v2/{NAME}/blobs/{LAYER}"
SMALL = min(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache/blobs/sha256").iterdir()}


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_wrong_blob_never_ends(proxied: Proxied, tmp_path: Path) -> None:
    files = tree(IMAGE, "latest") | {BLOB: flipped(DATA, len(DATA) - 1)}
    gate = threading.Event()
    with pages(files, Twists(gates={BLOB: gate})) as host:
        ask = proxied(host)
        response = ask.begin(f"{NAME}/blobs/{LAYER}")
        assert (response.status, response.length) == (200, len(DATA))
        assert response.stream is not None
        gate.set()
        with response.stream as stream, pytest.raises(BuilderError, match="another digest"):
            read(stream, response.length)
        assert LAYER[7:] not in kept(tmp_path)
        files[BLOB] = DATA
        assert ask(f"{NAME}/blobs/{LAYER}").body == DATA
        assert LAYER[7:] in kept(tmp_path)


def test_all_but_the_last_byte_come_before_the_digest_is_known(proxied: Proxied) -> None:
    gate = threading.Event()
    with pages(tree(IMAGE, "latest"), Twists(gates={BLOB: gate})) as host:
        response = proxied(host).begin(f"{NAME}/blobs/{LAYER}")
        assert response.stream is not None
        with response.stream as stream:
            half = len(DATA) // 2
            assert read(stream, half) == DATA[:half]
            assert stream.read(100) is None
            gate.set()
            assert read(stream, len(DATA)) == DATA[half:]
            assert stream.read(1) == b""


@pytest.mark.parametrize("wrong", [b"", b"{", DATA])
def test_a_wrong_small_blob_is_an_error_in_words(
    wrong: bytes, proxied: Proxied, tmp_path: Path
) -> None:
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/blobs/{SMALL}": wrong}) as host:
        ask = proxied(host)
        ask(f"{NAME}/manifests/latest")
        got = ask(f"{NAME}/blobs/{SMALL}")
        assert (got.status, got.code) == (502, "UNAVAILABLE")
        assert SMALL[7:] not in kept(tmp_path)


def test_a_part_of_a_wrong_blob_is_an_error(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest") | {BLOB: flipped(DATA, 5)}) as host:
        got = proxied(host)(f"{NAME}/blobs/{LAYER}", Range="bytes=100-200")
    assert got.status == 502
    assert b"another digest" in got.body


def test_a_cut_goes_on_where_it_was(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest"), Twists(cuts={BLOB: [400_000, 90_000]})) as host:
        assert proxied(host)(f"{NAME}/blobs/{LAYER}").body == DATA
        assert host.asked("GET", BLOB) == 3


def test_a_length_that_lies(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest"), Twists(lengths={BLOB: 10**12})) as host:
        ask = proxied(host)
        ask(f"{NAME}/manifests/latest")
        got = ask(f"{NAME}/blobs/{LAYER}")
    assert got.status == 502
    assert b"where the manifest says" in got.body


@pytest.mark.parametrize("digested", [True, False], ids=["digest", "tag"])
@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        flipped(IMAGE.manifest, 60),
        json.dumps(json.loads(IMAGE.manifest) | {"manifests": []}).encode(),
        json.dumps(json.loads(IMAGE.manifest) | {"fsLayers": []}).encode(),
        IMAGE.manifest.replace(b'"layers"', b'"Layers": [], "layers"'),
    ],
    ids=["text", "changed", "two kinds", "schema 1", "case"],
)
def test_a_wrong_manifest(raw: bytes, digested: bool, proxied: Proxied) -> None:  # noqa: FBT001
    reference = IMAGE.digest if digested else "latest"
    if not digested and raw == flipped(IMAGE.manifest, 60):
        raw = b"[]"
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/manifests/{reference}": raw}) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/manifests/{reference}").status == 502
        assert ask(f"{NAME}/manifests/{reference}", "HEAD").status == 502


def test_a_page_for_what_is_missing_is_no_content(proxied: Proxied) -> None:
    page = b"<!doctype html><title>Everything is here</title>"
    unknown = f"sha256:{'0' * 64}"
    lies = {f"v2/{NAME}/{path}": page for path in ("manifests/nope/", f"referrers/{unknown}")}
    with pages(tree(IMAGE, "latest") | lies) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/referrers/{unknown}").status == 200
        assert ask(f"{NAME}/manifests/nope").status == 404


@pytest.mark.parametrize("raw", [b"[]", b'{"tags": 3}', b'{"tags": ["a"], "Tags": []}', b"\xff"])
def test_a_list_that_is_none(raw: bytes, proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/tags/list": raw}) as host:
        assert proxied(host)(f"{NAME}/tags/list").status == 502


def test_a_list_that_lies(proxied: Proxied) -> None:
    raw = as_json({"name": "other", "tags": ["b", 7, None, "../x", "a\r\nX: y", "a", "b"]})
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/tags/list": raw}) as host:
        ask = proxied(host)
        answer = json.loads(ask(f"{NAME}/tags/list").body)
        assert answer == {"name": NAME, "tags": ["a", "b"]}
        assert ask(f"{NAME}/manifests/b").status == 404


def test_referrers_that_are_none(proxied: Proxied) -> None:
    raw = as_json({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []})
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/referrers/{IMAGE.digest}": raw}) as host:
        assert proxied(host)(f"{NAME}/referrers/{IMAGE.digest}").status == 502


NEAR = ["http://169.254.169.254/x", "http://10.255.255.1:9/x", "http://[fd00::1]/x",
        "http://192.168.7.7/x"]  # fmt: skip


@pytest.mark.parametrize("target", [*NEAR, "file:///etc/passwd", "http://user@127.0.0.1/"])
def test_redirects_into_private_networks(target: str, proxied: Proxied) -> None:
    wrong = Twists(redirects={BLOB: target, f"v2/{NAME}/manifests/latest": target})
    with pages(tree(IMAGE, "latest"), wrong) as host:
        for insecure in (False, True):
            ask = proxied(host, insecure=insecure)
            assert ask(f"{NAME}/blobs/{LAYER}").status == 502
            assert ask(f"{NAME}/manifests/latest").status == 502


@pytest.mark.parametrize("target", [*NEAR, "file:///etc/passwd", "gopher://x/"])
def test_a_place_in_private_networks(target: str, proxied: Proxied) -> None:
    files = tree(IMAGE, "latest")
    del files[BLOB]
    document = {"digest": LAYER, "size": len(DATA), "url": target}
    files[f"{NAME}/blobs/{LAYER}/index.json"] = as_json(document)
    with pages(files) as host:
        assert proxied(host, insecure=True)(f"{NAME}/blobs/{LAYER}").status == 502


@pytest.mark.parametrize(
    "document",
    [b"{", b"[]", as_json({"digest": sha256(b""), "size": 0, "url": "/registry/v2/x"}),
     as_json({"digest": LAYER, "size": 3}), as_json({"digest": LAYER, "url": f"/registry/{BLOB}"})],
)  # fmt: skip
def test_a_place_that_is_none(document: bytes, proxied: Proxied) -> None:
    files = tree(IMAGE, "latest")
    del files[BLOB]
    with pages(files | {f"{NAME}/blobs/{LAYER}/index.json": document}) as host:
        assert proxied(host)(f"{NAME}/blobs/{LAYER}").status in (404, 502)


def test_many_that_want_one_blob_are_one_download(proxied: Proxied) -> None:
    gate = threading.Event()
    with pages(tree(IMAGE, "latest"), Twists(gates={BLOB: gate})) as host:
        ask = proxied(host)
        arrived = threading.Barrier(31)

        def pull(_: int) -> bytes:
            response = ask.begin(f"{NAME}/blobs/{LAYER}")
            assert response.stream is not None
            with response.stream as stream:
                first = read(stream, 1000)
                arrived.wait(30)
                return first + read(stream, response.length - 1000)

        with ThreadPoolExecutor(30) as pool:
            pulls = pool.map(pull, range(30))
            arrived.wait(30)
            gate.set()
            assert set(pulls) == {DATA}
        assert host.asked("GET", BLOB) == 1


def test_a_download_that_nobody_waits_for_is_given_up(proxied: Proxied, tmp_path: Path) -> None:
    gate = threading.Event()
    with pages(tree(IMAGE, "latest"), Twists(gates={BLOB: gate})) as host:
        ask = proxied(host)
        response = ask.begin(f"{NAME}/blobs/{LAYER}")
        assert response.stream is not None
        response.stream.close()
        gate.set()
        for thread in threading.enumerate():
            if thread.name.endswith("(_run)"):
                thread.join(30)
        assert LAYER[7:] not in kept(tmp_path)
        assert not [name for name in kept(tmp_path) if name.startswith(".")]
        assert ask(f"{NAME}/blobs/{LAYER}").body == DATA


def filled(host: Host, proxied: Proxied, limit: int, blobs: list[str]) -> list[int]:
    """Ask for blobs twice; return how often the site was asked for each."""
    ask = proxied(host, limit)
    for _ in range(2):
        for digest in blobs:
            assert ask(f"{NAME}/blobs/{digest}").status == 200
    return [host.asked("GET", f"/blobs/{digest}") for digest in blobs]


def test_what_was_used_longest_ago_is_forgotten(proxied: Proxied, tmp_path: Path) -> None:
    contents = {sha256(data): data for data in (bytes([n]) * 1000 for n in range(5))}
    files = {f"v2/{NAME}/blobs/{digest}": data for digest, data in contents.items()}
    a, b, c, d, e = contents
    with pages(files) as host:
        ask = proxied(host, 3500)
        for moment, digest in enumerate((a, b, c, a)):
            ask(f"{NAME}/blobs/{digest}")
            os.utime(tmp_path / "cache/blobs/sha256" / digest[7:], (moment, moment))
        ask(f"{NAME}/blobs/{d}")
        assert kept(tmp_path) == {a[7:], c[7:], d[7:]}
        assert ask(f"{NAME}/blobs/{b}").status == 200
        assert ask(f"{NAME}/blobs/{e}").status == 200
        assert len(kept(tmp_path)) <= 3


def test_a_blob_over_the_limit_is_served_and_not_kept(proxied: Proxied, tmp_path: Path) -> None:
    with pages(tree(IMAGE, "latest")) as host:
        assert filled(host, proxied, 1000, [LAYER]) == [2]
        assert LAYER[7:] not in kept(tmp_path)


def test_a_cache_that_somebody_changed_is_no_harm(proxied: Proxied, tmp_path: Path) -> None:
    index = Image.index(Image.of("one"))
    with pages(tree(index, "latest")) as host:
        assert proxied(host)(f"{NAME}/manifests/{index.digest}").type == INDEX
        file = tmp_path / "cache/blobs/sha256" / index.digest[7:]
        file.write_bytes(b"{}")
        assert proxied(host)(f"{NAME}/manifests/{index.digest}").body == index.manifest
        file.unlink()
        file.symlink_to("/etc/passwd")
        assert proxied(host)(f"{NAME}/manifests/{index.digest}").body == index.manifest
        assert proxied(host)(f"{NAME}/blobs/{index.digest}").body != b""


def test_a_drip_is_not_waited_for(proxied: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.remote.http._SLOW_AFTER", 0.2)
    with pages(tree(IMAGE, "latest"), Twists(drips={BLOB})) as host:
        got = proxied(host)(f"{NAME}/blobs/{LAYER}")
    assert got.status == 502
    assert b"too slow" in got.body


def test_what_killed_runs_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "blobs/sha256"
    folder.mkdir(parents=True)
    for name, age in ((".incoming-old", 200_000), (".incoming-new", 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    BlobCache(tmp_path, 1000)
    assert os.listdir(folder) == [".incoming-new"]


def test_a_cache_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalError, match="file"):
        BlobCache(tmp_path / "file", 1000)


def test_many_pulls_while_the_cache_is_too_small(proxied: Proxied) -> None:
    contents = {sha256(data): data for data in (os.urandom(20_000) for _ in range(40))}
    files = {f"v2/{NAME}/blobs/{digest}": data for digest, data in contents.items()}
    with pages(files) as host:
        ask = proxied(host, 100_000)

        def pull(number: int) -> None:
            for digest in random.Random(number).sample(sorted(contents), 20):  # noqa: S311
                assert ask(f"{NAME}/blobs/{digest}").body == contents[digest]

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(pull, range(16)))
        assert sum(ask.cache.size(Digest(digest)) or 0 for digest in contents) <= 100_000


def test_what_one_repository_says_of_a_blob_is_not_believed_of_another(proxied: Proxied) -> None:
    document = json.loads(IMAGE.manifest)
    for part in document["layers"]:
        part["size"] += 1
    evil = as_json(document)
    files = tree(IMAGE, "latest") | {
        f"v2/lib/evil/{path}": data
        for path, data in {
            "tags/list": as_json({"name": "lib/evil", "tags": ["1"]}),
            "manifests/1": evil,
            f"manifests/{sha256(evil)}": evil,
            f"blobs/{LAYER}": DATA,
        }.items()
    }
    with pages(files) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/manifests/latest").status == 200
        assert ask("lib/evil/manifests/1").status == 200
        assert ask(f"lib/evil/blobs/{LAYER}").status == 502
        assert ask(f"{NAME}/blobs/{LAYER}").body == DATA
