"""A website bundled, pushed, served from a registry and from the built site, and looked at."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from builder.apps.origins import label
from builder.cli import run as builder
from tests.conftest import write_tree
from tests.e2e.conftest import BUILDER, free_port, run, serving
from tests.hosts import listening, run_nginx

pytestmark = pytest.mark.e2e
INDEX = "application/vnd.oci.image.index.v1+json"


def website(folder: Path, version: str) -> Path:
    script = (
        "document.getElementById('made').textContent = 'made by script ' + location.pathname;\n"
    )
    write_tree(
        folder,
        {
            "index.html": (
                '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>My app</title>'
                '<link rel="icon" href="data:,"><link rel="stylesheet" href="css/app.css"></head>'
                f'<body><h1>version {version}</h1><p id="made"></p>'
                '<a id="about" href="about.html">about</a>'
                '<script src="js/app.js"></script></body></html>'
            ),
            "about.html": "<!doctype html><title>About</title><h1>about it</h1>",
            "css/app.css": "h1 { color: rgb(1, 2, 3) }\n",
            "js/app.js": script,
            "data/table.json": '{"rows": []}',
        },
    )
    return folder


@contextmanager
def serving_from(address: str, work: Path) -> Iterator[str]:
    port = free_port()
    flags = ("--from", f"http://{address}", "-s", str(work), "-P", str(port))
    with listening("serve", *flags) as (process, line):
        assert line.startswith("serving "), process.stderr.read() if process.stderr else line
        yield f"http://127.0.0.1:{port}"
    assert process.returncode == 130


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "_config.yml").write_text("title: Apps\nregistry:\n  apps: [my-app]\n")
    for version in ("v1", "v2"):
        app = website(tmp_path / version / "my-app", version)
        flags = ["-q", "-s", str(folder), "--split"] + (["--spa"] if version == "v2" else [])
        assert builder(["bundle", *flags, str(app), f"my-app:{version}"]) == 0
    return folder


def look(driver: WebDriver, url: str, version: str) -> None:
    driver.get(url)
    assert driver.find_element(By.TAG_NAME, "h1").text == f"version {version}"
    assert driver.find_element(By.ID, "made").text.startswith("made by script /")
    color = driver.find_element(By.TAG_NAME, "h1").value_of_css_property("color")
    assert "1, 2, 3" in color


def test_the_whole_loop(
    registry: Path, docker_registry: str, browser: WebDriver, tmp_path: Path
) -> None:
    there = f"docker://{docker_registry}/my-app"
    assert builder(["push", "-q", "-s", str(registry), "--all-tags", "my-app", there]) == 0
    listed = requests.get(f"http://{docker_registry}/v2/my-app/tags/list", timeout=10).json()
    assert sorted(listed["tags"]) == ["v1", "v2"]
    with serving_from(docker_registry, tmp_path / "work") as site:
        look(browser, f"{site}/my-app/v1", "v1")
        browser.find_element(By.ID, "about").click()
        assert browser.find_element(By.TAG_NAME, "h1").text == "about it"
        port = site.rpartition(":")[2]
        assert (
            browser.current_url == f"http://{label('my-app')}.localhost:{port}/my-app/v1/about.html"
        )
        look(browser, f"{site}/my-app/v2/", "v2")
        browser.get(f"{site}/my-app/v2/some/where")  # v2 answers for all that is below it
        assert browser.find_element(By.TAG_NAME, "h1").text == "version v2"
        assert requests.get(f"{site}/my-app/v1/nope", timeout=10).status_code == 404
        assert requests.get(f"{site}/my-app/v9/", timeout=10).status_code == 404
        assert requests.get(f"{site}/nobody/v1/", timeout=10).status_code == 404
        answer = requests.get(f"{site}/my-app/v1/js/app.js", timeout=10)
        assert answer.headers["Content-Type"].startswith("text/javascript")
        part = requests.get(
            f"{site}/my-app/v1/js/app.js", headers={"Range": "bytes=0-7"}, timeout=10
        )
        assert (part.status_code, part.text) == (206, "document")
        browser.get(f"{site}/")
        browser.find_element(By.LINK_TEXT, "my-app").click()
        assert {link.text for link in browser.find_elements(By.TAG_NAME, "a")} == {"v1", "v2"}


def test_the_built_site_has_them_unpacked(registry: Path, browser: WebDriver) -> None:
    with serving(registry, "--no-livereload") as host:
        site = f"http://{host}"
        for version in ("v1", "v2"):
            look(browser, f"{site}/my-app/{version}/", version)
        look(browser, f"{site}/my-app/latest/", "v2")
        browser.get(f"{site}/my-app/v2/deep/link")
        assert browser.find_element(By.TAG_NAME, "h1").text == "version v2"
        browser.get(f"{site}/my-app/")
        browser.find_element(By.LINK_TEXT, "Open the app").click()
        assert browser.find_element(By.TAG_NAME, "h1").text == "version v2"


def test_nginx_serves_them(registry: Path, browser: WebDriver, tmp_path: Path) -> None:
    with run_nginx(registry, tmp_path) as address:
        host = f"http://{address}"
        look(browser, f"{host}/my-app/v1/", "v1")
        look(browser, f"{host}/my-app/v2/", "v2")
        answer = requests.get(f"{host}/my-app/v2/deep/link", timeout=10)
        assert (answer.status_code, "version v2" in answer.text) == (200, True)
        assert requests.get(f"{host}/my-app/v1/nope", timeout=10).status_code == 404
        page = requests.get(f"{host}/my-app/v1/", timeout=10)
        assert "Content-Security-Policy" not in page.headers
        assert "Content-Security-Policy" in requests.get(f"{host}/", timeout=10).headers


def test_a_layer_is_the_folder(tmp_path: Path, docker_registry: str) -> None:
    app = website(tmp_path / "plain/my-app", "v1")
    layout = tmp_path / "layout"
    flags = ["-q", "-s", str(tmp_path), "--index", "-o", f"oci:{layout}"]
    assert builder(["bundle", *flags, str(app), "folder:1.0.0"]) == 0
    there = f"docker://{docker_registry}/folder:1.0.0"
    run("skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:1.0.0", there)
    base = f"http://{docker_registry}/v2/folder"
    index = requests.get(f"{base}/manifests/1.0.0", headers={"Accept": INDEX}, timeout=10).json()
    (child,) = index["manifests"]
    manifest = requests.get(
        f"{base}/manifests/{child['digest']}", headers={"Accept": child["mediaType"]}, timeout=10
    ).json()
    (layer,) = manifest["layers"]
    out = tmp_path / "out"
    out.mkdir()
    run("bash", "-c", f"curl -fsSL {base}/blobs/{layer['digest']} | tar -xz", cwd=out)
    found = {
        path.relative_to(out / "my-app"): path.read_bytes()
        for path in (out / "my-app").rglob("*")
        if path.is_file()
    }
    assert found == {
        path.relative_to(app): path.read_bytes() for path in app.rglob("*") if path.is_file()
    }


def test_two_days_and_two_machines_give_equal_bytes(tmp_path: Path) -> None:
    digests = set()
    for number, mask in enumerate((0o022, 0o077)):
        before = os.umask(mask)
        try:
            app = website(tmp_path / str(number) / "my-app", "v1")
        finally:
            os.umask(before)
        for path in app.rglob("*"):
            os.utime(path, (number * 10**8, number * 10**8))
        layout = tmp_path / f"layout{number}"
        environment = {**os.environ, "TZ": ("UTC", "Asia/Tokyo")[number]}
        environment["SOURCE_DATE_EPOCH"] = str(number * 10**8)
        subprocess.run(
            [*BUILDER, "bundle", "-q", "-s", str(tmp_path), "-o", f"oci:{layout}", str(app), "x:1"],
            check=True, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        index = json.loads((layout / "index.json").read_bytes())
        digests.add(index["manifests"][0]["digest"])
    assert len(digests) == 1


def test_versions_share_what_did_not_change(registry: Path) -> None:
    layers = []
    for version in ("v1", "v2"):
        path = registry / f"collections/my-app/manifests/{version}/manifest.json"
        layers.append({item["digest"] for item in json.loads(path.read_bytes())["layers"]})
    assert len(layers[0] & layers[1]) == 3  # css, data and js; the pages differ


def test_an_image_that_serves_it(registry: Path, tmp_path: Path) -> None:
    base = f"oci:{tmp_path}/base:1"
    content = tmp_path / "content"
    write_tree(content, {"server": "a web server"})
    run("umoci", "init", "--layout", str(tmp_path / "base"))
    run("umoci", "new", "--image", f"{tmp_path}/base:1")
    run("umoci", "insert", "--image", f"{tmp_path}/base:1", str(content), "/srv")
    app = tmp_path / "v1/my-app"
    flags = ["-q", "-s", str(registry), "--runnable", "--base", base]
    assert builder(["bundle", *flags, str(app), "runs:1"]) == 0
    where = f"oci:{tmp_path}/back:1"
    assert builder(["export", "-q", "-s", str(registry), "runs:1-image", where]) == 0
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/back:1", str(tmp_path / "bundle"))
    root = tmp_path / "bundle/rootfs"
    assert (root / "srv/server").read_text() == "a web server"
    assert (root / "usr/share/nginx/html/index.html").exists()


READ = """const done = arguments[arguments.length - 1];
fetch(arguments[0]).then(r => done(r.status), () => done(0));"""


def test_no_script_reads_another_repository(
    registry: Path, docker_registry: str, browser: WebDriver, tmp_path: Path
) -> None:
    for name in ("my-app", "secret/app"):
        there = f"docker://{docker_registry}/{name}"
        assert builder(["push", "-q", "-s", str(registry), "--all-tags", "my-app", there]) == 0
    with serving_from(docker_registry, tmp_path / "work") as site:
        port = site.rpartition(":")[2]
        look(browser, f"{site}/my-app/v1/", "v1")
        for url, status in (
            ("/my-app/v1/data/table.json", 200),
            ("/my-app/v2/data/table.json", 200),
            ("/secret/app/v1/data/table.json", 403),
            (f"{site}/secret/app/v1/data/table.json", 0),
            (f"{site}/my-app/v1/data/table.json", 0),
            (f"http://{label('secret/app')}.localhost:{port}/secret/app/v1/data/table.json", 0),
        ):
            assert browser.execute_async_script(READ, url) == status, url
        plain = requests.get(f"{site}/secret/app/v1/data/table.json", timeout=10)
        assert plain.json() == {"rows": []}
        asked = {"Host": f"{label('my-app')}.localhost:{port}"}
        answer = requests.get(f"{site}/secret/app/v1/", headers=asked, timeout=10)
        assert answer.status_code == 403
