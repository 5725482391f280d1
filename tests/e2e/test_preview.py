"""`builder serve` as people use it: edits, mistakes, floods, a big blob, a browser."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.conftest import write_tree
from tests.e2e.conftest import BUILDER, free_port, run, serving
from tests.hosts import until
from tests.images import MANIFEST, Image, as_json, descriptor

pytestmark = pytest.mark.e2e
README = "collections/vanessa/greeting/README.md"


@pytest.fixture
def live(greeting: Path) -> Iterator[tuple[Path, str]]:
    with serving(greeting) as host:
        yield greeting, f"http://{host}"


def page(url: str, path: str = "vanessa/greeting/") -> str:
    return requests.get(f"{url}/{path}", timeout=10).text


def test_an_edit_is_seen(live: tuple[Path, str]) -> None:
    source, url = live
    (source / README).write_text("---\ntitle: Greeting\n---\nFresh words.\n")
    assert until(lambda: "Fresh words." in page(url))


def test_save_by_rename_is_seen(live: tuple[Path, str]) -> None:
    source, url = live
    draft = source / "collections/vanessa/greeting/.README.md.tmp"
    draft.write_text("---\ntitle: Greeting\n---\nRenamed words.\n")
    draft.replace(source / README)
    assert until(lambda: "Renamed words." in page(url))


def test_a_mistake_keeps_the_last_good_site(live: tuple[Path, str]) -> None:
    source, url = live
    good = (source / README).read_text()
    (source / README).write_text("---\nlayout: <script>alert(1)</script>\n---\n")
    assert until(lambda: "build-problems" in page(url))
    shown = page(url)
    assert "A friendly greeting." in shown
    assert "<script>alert(1)" not in shown
    assert f"{README}:2" in shown
    (source / README).write_text(good + "\nMended.\n")
    assert until(lambda: "Mended." in page(url) and "build-problems" not in page(url))


def test_a_thousand_files_at_once(live: tuple[Path, str]) -> None:
    source, url = live
    for number in range(1000):
        folder = source / f"collections/many/c{number}"
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"---\ntitle: C{number}\n---\nText {number}.\n")
    names = [f"many/c{number}/" for number in (0, 500, 999)]
    assert until(lambda: all("Text" in page(url, name) for name in names))


def test_a_new_config_is_seen(live: tuple[Path, str]) -> None:
    source, url = live
    (source / "_config.yml").write_text("title: Renamed registry\n")
    assert until(lambda: "Renamed registry" in page(url, "collections.json") + page(url, ""))


def test_it_does_not_build_for_ever(live: tuple[Path, str]) -> None:
    source, url = live
    (source / README).write_text("---\ntitle: Greeting\n---\nOnce.\n")
    assert until(lambda: "Once." in page(url))
    record = next((source / ".builder-cache/records").glob("*.sqlite*"))
    time.sleep(0.5)
    before = record.stat().st_mtime_ns
    for _ in range(5):
        page(url)
        time.sleep(0.2)
    assert record.stat().st_mtime_ns == before


def ask(url: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    with closing(connection):
        answer = connection.getresponse()
        answer.close()
        return answer.status


def test_only_its_own_names_are_answered(live: tuple[Path, str]) -> None:
    _, url = live
    assert ask(url, "/", Host="evil.example") == 421
    port = url.rpartition(":")[2]
    assert ask(url, "/", Host=f"localhost:{port}") == 200


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 403), ("", 101)])
def test_the_reload_socket_checks_the_origin(
    live: tuple[Path, str], origin: str, status: int
) -> None:
    _, url = live
    found = ask(
        url, "/livereload", Upgrade="websocket", Connection="Upgrade",
        Origin=origin or url,
        **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
    )  # fmt: skip
    assert found == status


def test_links_in_the_store_are_not_followed(live: tuple[Path, str]) -> None:
    source, url = live
    for body in (source / ".builder-cache/serve/preview").glob("??/*"):
        body.unlink()
        body.symlink_to("/etc/passwd")
    for path in ("/vanessa/greeting/", "/v2/vanessa/greeting/manifests/latest", "/"):
        answer = requests.get(f"{url}{path}", timeout=10)
        assert b"root:" not in answer.content


def test_the_port_is_taken(greeting: Path) -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        command = [*BUILDER, "serve", "-s", str(greeting), "-P", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def big_image(folder: Path, size: int) -> str:
    """Make a tag with one sparse layer of `size` bytes in the content store."""
    total = hashlib.sha256()
    zeros = bytes(1 << 20)
    for _ in range(size >> 20):
        total.update(zeros)
    name = total.hexdigest()
    file = folder / "_blobs/blobs/sha256" / name
    file.parent.mkdir(parents=True)
    with file.open("wb") as stream:
        stream.truncate(size)
    empty = b"{}"
    config = descriptor("application/vnd.oci.empty.v1+json", empty)
    layer = {"mediaType": "application/octet-stream", "digest": f"sha256:{name}", "size": size}
    manifest = as_json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                        "artifactType": "application/x-big", "layers": [layer]})  # fmt: skip
    Image(manifest, {config["digest"]: empty}).tag(folder / "collections/a/big", "1")
    return f"sha256:{name}"


@pytest.mark.slow
def test_a_gibibyte_streams_with_flat_memory(registry: Path) -> None:
    size = 1 << 30
    digest = big_image(registry, size)
    with serving(registry) as host:
        pid = int(run("pgrep", "-o", "-f", f"serve -s {registry}").split()[0])
        before = peak(pid)
        url = f"http://{host}/v2/a/big/blobs/{digest}"
        with requests.get(url, stream=True, timeout=60) as answer:
            received = sum(len(chunk) for chunk in answer.iter_content(1 << 20))
        assert received == size
        assert peak(pid) - before < 64 << 20


def peak(pid: int) -> int:
    """Return the peak resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


def test_the_large_blob_is_one_file_on_disk(registry: Path) -> None:
    digest = big_image(registry, 8 << 20)
    run(*BUILDER, "build", "-q", "-s", str(registry))
    store = registry / "_blobs/blobs" / digest.replace(":", "/")
    assert os.path.samefile(store, registry / "_site/v2/a/big/blobs" / digest)


def test_ctrl_c_during_the_first_build_leaves_nothing_half_done(greeting: Path) -> None:
    for number in range(300):
        write_tree(greeting / f"collections/n/c{number}", {"README.md": "---\ntitle: x\n---\nx\n"})
    process = subprocess.Popen([*BUILDER, "build", "-s", str(greeting)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    time.sleep(0.5)
    process.send_signal(2)
    told = process.communicate(timeout=30)[1]
    assert process.returncode in (0, 130)
    assert "Traceback" not in told
    run(*BUILDER, "build", "-q", "-s", str(greeting))
    fresh = greeting.parent / "fresh"
    run(*BUILDER, "build", "-q", "-s", str(greeting), "-d", str(fresh))
    shutil.rmtree(greeting / ".builder-cache")
    run("diff", "-r", "-x", ".builder-site", str(greeting / "_site"), str(fresh))


def test_a_problem_elsewhere_is_not_forgotten(live: tuple[Path, str]) -> None:
    source, url = live
    link = source / "collections/vanessa/other/link"
    link.parent.mkdir()
    link.symlink_to("/etc/passwd")
    assert until(lambda: "build-problems" in page(url))
    (source / README).write_text("---\ntitle: Greeting\n---\nStill held back.\n")
    assert until(lambda: "vanessa/other/link" in page(url))
    time.sleep(0.5)
    assert "Still held back." not in page(url)
    link.unlink()
    assert until(lambda: "Still held back." in page(url))
