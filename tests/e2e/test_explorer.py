"""The file explorer in a real browser, over real hosts: the tree, and files out of layers."""

from __future__ import annotations

import json
import random
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from backports import zstd
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from builder.layers.listing import Listing, read_listing
from builder.layers.record import record_listing
from builder.layers.rootfs import RootFS
from builder.oci.descriptor import Descriptor
from tests.e2e.conftest import BUILDER, run
from tests.hosts import HOSTS
from tests.images import descriptor, sha256
from tests.layers.stacks import Stack, image_of
from tests.layers.test_listing import member, members_gzip, tar

pytestmark = pytest.mark.e2e
PAGE = "demo/app/tags/1/index.html"
SEEDS = 30
_NOISE = random.Random(3)  # noqa: S311 - the same every time


def text(size: int) -> bytes:
    """Return text that packs to about half."""
    return _NOISE.randbytes(size // 2).hex().encode()


def picture() -> bytes:
    rows = b"".join(b"\0" + bytes([9 * y, 90, 200] * 16) for y in range(16))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


BASE = {f"data/{n:02}.txt": text(200_000) for n in range(36)}
UPPER = {f"more/{n}.txt": text(300_000) for n in range(15)}
PLAIN = {f"plain/{n}.txt": text(90_000) for n in range(20)}
EVIL = "top/<img src=x onerror=document.title=1>.html"
TOP: dict[str, bytes | tarfile.TarInfo] = {
    "data/00.txt": b"written anew\n",
    "data/.wh.01.txt": b"",
    "data/link": member("data/link", tarfile.SYMTYPE, "../plain/3.txt"),
    "top/picture.png": picture(),
    "top/vector.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1"/>',
    EVIL: b"<script>document.title=1</script>",
    "top/raw": bytes(range(256)),
    "top/none": b"",
}
PACKED = {"zstd.txt": text(1000)}


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with an image of five layers, each packed in another way."""
    folder = tmp_path_factory.mktemp("explored")
    tars = [tar(cast("Any", files)) for files in (BASE, UPPER, PLAIN, TOP, PACKED)]
    image = image_of(*tars)
    packed = {1: members_gzip(tars[1]), 2: tars[2], 4: zstd.compress(tars[4])}
    document = json.loads(image.manifest)
    for number, data in packed.items():
        layer = document["layers"][number]
        del image.blobs[layer["digest"]]
        document["layers"][number] = descriptor(layer["mediaType"], data)
        image.blobs[sha256(data)] = data
    image.manifest = json.dumps(document).encode()
    image.layout(folder / "layout", "1")
    (folder / "registry/collections").mkdir(parents=True)
    (folder / "registry/_config.yml").write_text("title: Explored\n")
    run(
        *BUILDER, "add", "--files", f"oci:{folder}/layout", "demo/app:1", "-s", f"{folder}/registry"
    )
    return folder / "registry"


@pytest.fixture(scope="module")
def page(explored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with HOSTS["builder serve"](explored, tmp_path_factory.mktemp("site")) as host:
        yield f"http://{host}/{PAGE}"


@pytest.fixture(params=["builder serve", "nginx", "s3"])
def site(request: pytest.FixtureRequest, explored: Path, tmp_path: Path) -> Iterator[str]:
    if request.param == "builder serve":
        yield request.getfixturevalue("page")
        return
    with HOSTS[request.param](explored, tmp_path) as host:
        yield f"http://{host}/{PAGE}"


def shown(browser: Any, path: str) -> str:
    """Open a file by its address; return what is said about it."""
    browser.execute_script("location.hash = arguments[0]", f"#file={quote(path, safe='')}")
    wait = WebDriverWait(browser, 30)
    wait.until(lambda driver: driver.execute_script(
        "const it = document.querySelector('dialog.file');"
        "return it && it.querySelector('h3').textContent == '/' + arguments[0]"
        " && it.querySelector('.facts').children.length > 0", path))  # fmt: skip
    said: str = browser.find_element(By.CSS_SELECTOR, "dialog .facts").text
    return said


def content(browser: Any) -> str:
    found: str = browser.find_element(By.CSS_SELECTOR, "dialog pre").get_property("textContent")
    return found


def fetched(browser: Any) -> int:
    """Return how many bytes of layers and of their indexes came since the last call."""
    total = 0
    for line in browser.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] != "Network.responseReceived":
            continue
        answer = message["params"]["response"]
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        if "/v2/" in answer["url"]:
            found = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", headers.get("content-range", ""))
            first, last = found.groups() if found else (1, headers["content-length"])
            total += int(last) - int(first) + 1
    return total


def test_files_come_out_of_layers_by_parts(browser: Any, site: str) -> None:
    browser.get("about:blank")
    browser.get(site)
    browser.get_log("browser")
    fetched(browser)
    # Gzip with restart points: from the last one before the file, a part of 10 MB.
    for path in ("data/35.txt", "data/25.txt", "data/02.txt"):
        said = shown(browser, path)
        assert content(browser) == BASE[path].decode(), said
        assert 0 < fetched(browser) < 2_600_000, "more than from one restart point to the next"
        assert "not checked" in said
    # Members of gzip, one after the other.
    for path in ("more/0.txt", "more/9.txt", "more/14.txt"):
        shown(browser, path)
        assert content(browser) == UPPER[path].decode()
    fetched(browser)
    # A plain tar: the file's own bytes, and none besides; also through a link.
    shown(browser, "plain/7.txt")
    assert content(browser) == PLAIN["plain/7.txt"].decode()
    assert fetched(browser) == len(PLAIN["plain/7.txt"])
    shown(browser, "data/link")
    assert content(browser) == PLAIN["plain/3.txt"].decode()
    # A small layer: whole, once, and checked.
    assert "checked against its digest" in shown(browser, "data/00.txt")
    assert content(browser) == "written anew\n"
    assert 0 < fetched(browser) - len(PLAIN["plain/3.txt"]) < 10_000
    shown(browser, "top/vector.svg")
    assert content(browser) == cast("bytes", TOP["top/vector.svg"]).decode()
    assert fetched(browser) == 0
    assert browser.get_log("browser") == []


def test_what_cannot_be_shown_says_why(browser: Any, page: str) -> None:
    browser.get(page)
    can = browser.execute_script(
        "try { return !!new DecompressionStream('zstd') } catch { return false }"
    )
    said = shown(browser, "zstd.txt")
    assert can or "compressed with zstd, which this browser cannot decompress" in said
    assert "no file at that path" in shown(browser, "data/01.txt")
    shown(browser, "top/raw")
    assert "neither text nor an image" in browser.find_element(By.CSS_SELECTOR, "dialog").text
    shown(browser, "top/none")
    assert "empty" in browser.find_element(By.CSS_SELECTOR, "dialog .content").text
    browser.get("about:blank")
    browser.get(page)
    elsewhere = "document.querySelectorAll('[data-layer]')[2].dataset.url = 'https://b.example/x'"
    browser.execute_script(elsewhere)
    assert "b.example, which does not allow this page to read it" in shown(browser, "plain/1.txt")


def test_strangers_names_and_contents_are_only_text(browser: Any, page: str) -> None:
    browser.get(page)
    browser.get_log("browser")
    shown(browser, "top/picture.png")
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(
        "return document.querySelector('dialog img').naturalWidth") == 16)  # fmt: skip
    source = browser.find_element(By.CSS_SELECTOR, "dialog img").get_attribute("src")
    assert source.startswith("blob:")
    title = browser.title
    shown(browser, EVIL)
    assert content(browser) == "<script>document.title=1</script>"
    assert browser.find_elements(By.CSS_SELECTOR, "dialog script, dialog img") == []
    assert browser.title == title
    link = browser.find_element(By.CSS_SELECTOR, "dialog [download]")
    assert link.get_attribute("download") == EVIL.rpartition("/")[2]
    assert browser.get_log("browser") == []


def test_the_tree_by_keyboard(browser: Any, page: str) -> None:
    browser.get("about:blank")
    browser.get(page)
    assert "Browse the files" in browser.find_element(By.CSS_SELECTOR, "[data-explorer]").text
    browser.execute_script("document.querySelector('[data-explorer] button').focus()")
    browser.switch_to.active_element.send_keys("\ue007")
    wait = WebDriverWait(browser, 30)
    wait.until(lambda driver: driver.switch_to.active_element.get_attribute("type") == "search")
    tree = browser.find_element(By.CSS_SELECTOR, ".tree")
    assert re.findall(r"^(\w+)/", tree.text, re.MULTILINE) == ["data", "more", "plain", "top"]
    browser.execute_script("document.querySelector('.tree summary').focus()")
    browser.switch_to.active_element.send_keys(" ")
    wait.until(lambda _: "35.txt" in tree.text)
    rows = {line.text.split("\n")[0]: line for line in tree.find_elements(By.CSS_SELECTOR, "li li")}
    assert "changed" in rows["00.txt"].text
    assert "layer 4" in rows["00.txt"].text
    assert "removed" in rows["01.txt"].text
    assert "changed" not in rows["02.txt"].text
    search = browser.find_element(By.CSS_SELECTOR, ".explorer input")
    search.send_keys("7.TXT")
    expected = sum("7.txt" in path for path in (*BASE, *UPPER, *PLAIN))
    tools = browser.find_element(By.CSS_SELECTOR, ".tools")
    wait.until(lambda _: f"{expected} files" in tools.text)
    link = next(item for item in tree.find_elements(By.TAG_NAME, "a") if item.text == "plain/7.txt")
    link.send_keys("\ue007")
    wait.until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "dialog pre"))
    browser.switch_to.active_element.send_keys("\ue00c")
    wait.until(lambda driver: not driver.find_elements(By.CSS_SELECTOR, "dialog"))
    browser.back()
    wait.until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "dialog pre"))
    browser.back()
    wait.until(lambda driver: not driver.find_elements(By.CSS_SELECTOR, "dialog"))


_MERGE = """
const [listings, done] = [arguments[0], arguments[1]];
const { tree } = document.querySelector('[data-explorer]').dataset;
import(tree).then(({ FileTree, walk, pathOf }) => {
  done(listings.map((layers) => {
    const tree = new FileTree();
    for (const entries of layers) tree.apply(entries);
    return Object.fromEntries([...walk(tree.root)].map((item) => [pathOf(item),
      [item.kind, item.size, item.mode, item.offset, item.target, item.pieces, item.layer]]));
  }));
}, (error) => done(String(error)));
"""


def listings_of(seed: int, folder: Path) -> list[Listing]:
    image = Stack(seed).image()
    image.store(folder)
    layers = [Descriptor.from_json(item) for item in json.loads(image.manifest)["layers"]]
    for layer in layers:
        record_listing(folder, layer, folder / "blobs" / layer.digest.replace(":", "/"))
    found = [read_listing(folder, layer.digest, "x") for layer in layers]
    return [listing for listing in found if listing is not None]


def test_layers_make_the_tree_that_the_builder_makes(
    browser: Any, page: str, tmp_path: Path
) -> None:
    stacks = [listings_of(seed, tmp_path / str(seed)) for seed in range(SEEDS)]
    expected = []
    for listings in stacks:
        with RootFS.of(listings, "x") as root:
            expected.append({
                entry.path: [*entry[1:6], list(entry.pieces) if entry.pieces else None, layer]
                for layer, entry in root.entries()
            })  # fmt: skip
    browser.get(page)
    entries = [[list(listing.entries()) for listing in listings] for listings in stacks]
    found = browser.execute_async_script(_MERGE, entries)
    assert found == expected


def test_layers_in_a_bucket_are_read_from_there(browser: Any, s3: str, tmp_path: Path) -> None:
    image = image_of(tar({"a.txt": b"far away"}))
    image.layout(tmp_path / "layout", "1")
    source = tmp_path / "registry"
    (source / "collections").mkdir(parents=True)
    (source / "_config.yml").write_text(
        "registry:\n  commit_below: 0\n  blobs: s3://bucket/layers\n"
        f"  blobs_url: {s3}/bucket/layers\n"
    )
    flags = ["-s", str(source)]
    run(*BUILDER, "add", "--files", f"oci:{tmp_path}/layout", "demo/app:1", *flags)
    with HOSTS["builder serve"](source, tmp_path) as host:
        browser.get(f"http://{host}/{PAGE}")
        assert "checked against its digest" in shown(browser, "a.txt")
        assert content(browser) == "far away"
        link = browser.find_element(By.CSS_SELECTOR, "a[data-layer]")
        assert link.get_attribute("data-url").startswith(f"{s3}/bucket/layers/blobs/")
