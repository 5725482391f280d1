"""No host runs or renders what strangers publish: each class of path on each host that runs here.

Every server is told to run programs by their names, as hosts for many sites
are. What it answers is one cell of the table in docs/guide/trust.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
import requests

from builder.targets import TARGETS
from tests.apps.samples import app_of, packed
from tests.conftest import write_tree
from tests.hosts import HOSTS, run_apache, run_caddy, run_nginx
from tests.images import Image, sha256

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
GUIDE = Path(__file__).parents[2] / "docs/guide/trust.md"
# Whoever runs it, as PHP, as a shell's, or for its directives, answers something else.
PROGRAM = (
    b"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s' r''an\n"
    b'<?php echo "r"."an"; ?><!--#echo var="DATE_LOCAL" --><script>alert(1)</script>\n'
)
PAGE = b"<script>alert(document.domain)</script>"
NAMES = ("x.php", "x.php.png", "x.var", "x.phtml", "x.phar", "x.shtml", "x.cgi", "x.pl", "x.asp",
         "x.jsp", "web.config", "_headers", "_redirects", "_worker.js", "_routes.json", "sw.js",
         "functions/x.js", "api/x.js")  # fmt: skip
HIDDEN = (".htaccess", ".user.ini", "deep/.htaccess", "deep/.env")
TAGS = ("1.0", "shell.php", "shell.php.1", "1.0.html", "x.cgi", "x.pl", "x.shtml", "web.config",
        "sw.js", "x.svg", "_headers", "_worker.js")  # fmt: skip
PICTURES = ("shot.png", "shot.php.png", "shot.cgi.png", "shot.shtml.png", "shot.var.png")
PICTURE = "vanessa/evil"
TABLE = re.compile(r"<!-- hosts -->\n(.*?)<!-- /hosts -->", re.DOTALL)
# Programs by their names on servers of one's own, which also have those of other sites.
SERVERS: Mapping[str, Callable[[Path, Path], AbstractContextManager[str]]] = {
    **{name: HOSTS[name] for name in ("s3", "cloudflare-pages", "firebase")},
    "nginx": partial(run_nginx, also='location ~ "[.](php|cgi|pl)" { return 200 "ran"; }'),
    "caddy": partial(run_caddy, also="php_fastcgi 127.0.0.1:1"),
    "apache": partial(run_apache, php=True),
    "github-pages": HOSTS["github-pages"],
    "plain": HOSTS["plain"],
}
# What these do follows from their rules, which are as those of a host above.
BY_RULE = {"netlify": "firebase", "vercel": "firebase"}


def hostile(source: Path, target: str) -> None:
    """Make a registry of all that strangers may publish on a target."""
    capable = TARGETS[target].capabilities
    write_tree(source, {"_config.yml": "title: T\nregistry:\n  apps: [vanessa/app]\n"})
    evil = source / "collections" / PICTURE
    write_tree(evil, {"README.md": "---\ntitle: E\n---\nHi\n", ".htaccess": "Options +ExecCGI"})
    pictures = PICTURES[:1] if capable.runs else PICTURES
    write_tree(evil, dict.fromkeys(pictures, PROGRAM))
    for tag in TAGS[:1] if not capable.media_types else TAGS:
        Image.holding(PROGRAM).tag(evil, tag)
    if not capable.guesses:
        Image.holding(PAGE).tag(evil, "page")
    names = ("x.txt",) if capable.runs else NAMES
    files = {"index.html": b"<p>", **dict.fromkeys((*names, *HIDDEN), PROGRAM)}
    layer = packed({f"app/{name}": data for name, data in files.items()})
    app_of(layer).tag(source / "collections/vanessa/app", "1.0")


@pytest.fixture(scope="module", params=SERVERS)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """A hostile registry on each host; its name and its address."""
    name: str = request.param
    source = tmp_path_factory.mktemp("hostile") / "registry"
    hostile(source, name)
    with SERVERS[name](source, tmp_path_factory.mktemp("site")) as address:
        yield name, f"http://{address}"


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=20, allow_redirects=True)


def is_active(answer: requests.Response) -> bool:
    """Tell whether a browser would run or render what it got."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].lower()
    return bool(re.search("html|xml|svg|script|httpd-php", kind))


def told(answer: requests.Response, data: bytes, words: str) -> str:
    """Check that the answer is the very bytes; return the cell for them."""
    assert answer.status_code == 200, answer.url
    assert answer.content == data, (answer.url, answer.content[:300])
    sniff = answer.headers.get("X-Content-Type-Options") == "nosniff"
    return f"{words}, nosniff" if sniff else words


def one(cells: set[str]) -> str:
    assert len(cells) == 1, cells
    return cells.pop()


def pages(name: str, url: str) -> str:
    answer = get(f"{url}/{PICTURE}/index.html")
    assert answer.status_code == 200, name
    if "default-src 'none'" in answer.headers.get("Content-Security-Policy", ""):
        return "policy in a header"
    assert "default-src &#39;none&#39;" in answer.text or "default-src 'none'" in answer.text
    return "policy in the page"


def pictures(name: str, url: str) -> str:
    shown = PICTURES[:1] if TARGETS[name].capabilities.runs else PICTURES
    cells = set()
    for picture in shown:
        answer = get(f"{url}/{PICTURE}/{picture}")
        assert answer.headers["Content-Type"] == "image/png"
        cells.add(told(answer, PROGRAM, "image"))
    return one(cells) + ("; no program's name" if len(shown) == 1 else "")


def apps(name: str, url: str) -> str:
    runs = TARGETS[name].capabilities.runs
    cells = set()
    for path in ("x.txt",) if runs else NAMES:
        answer = get(f"{url}/vanessa/app/1.0/{path}")
        if answer.status_code != 404:  # a host may keep a name to itself
            cells.add(told(answer, PROGRAM, "type by name"))
    for path in HIDDEN:
        assert get(f"{url}/vanessa/app/1.0/{path}").content != PROGRAM
    return one(cells) + ("; no program's name" if runs else "")


def tags(name: str, url: str) -> str:
    typed = TARGETS[name].capabilities.media_types
    image = Image.holding(PROGRAM)
    cells = set()
    for tag in TAGS if typed else TAGS[:1]:
        answer = get(f"{url}/v2/{PICTURE}/manifests/{tag}")
        assert not is_active(answer), (tag, answer.headers)
        own = answer.headers.get("Content-Type") == image.media_type
        cells.add(told(answer, image.manifest, "own type" if own else "bytes"))
    return one(cells) + ("" if typed else "; no page's or program's name")


def blobs(name: str, url: str) -> str:
    cells = set()
    for data in (PROGRAM,) if TARGETS[name].capabilities.guesses else (PROGRAM, PAGE):
        answer = get(f"{url}/v2/{PICTURE}/blobs/{sha256(data)}")
        kind = answer.headers.get("Content-Type", "none")
        assert kind == "application/octet-stream"
        cells.add(told(answer, data, "octet-stream"))
    return one(cells) + ("; no page" if TARGETS[name].capabilities.guesses else "")


CLASSES = {
    "pages": pages,
    "pictures": pictures,
    "files of apps": apps,
    "tags": tags,
    "blobs": blobs,
}


def rows() -> dict[str, dict[str, str]]:
    """Return the guide's table: for each target a cell for each class of path."""
    found = TABLE.search(GUIDE.read_text())
    assert found is not None
    head, _, *lines = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()
    )
    return {line[0].strip("`"): dict(zip(head[1:], line[1:], strict=True)) for line in lines}


@pytest.mark.parametrize("kind", CLASSES)
def test_what_a_host_does_is_what_the_guide_says(kind: str, host: tuple[str, str]) -> None:
    name, url = host
    assert rows()[name][kind] == CLASSES[kind](name, url)


def test_the_table_has_every_target_and_hosts_by_rule_are_as_their_like() -> None:
    table = rows()
    assert set(table) == set(TARGETS) - {"preview"}, "a row of docs/guide/trust.md"
    # One that runs here is attacked, every other is said to be as one that is.
    assert set(table) == {*SERVERS, *BY_RULE, "gitlab-pages"}, "SERVERS or BY_RULE of this file"
    for name, like in BY_RULE.items():
        assert table[name] == table[like]
    assert table["gitlab-pages"] == {**table["github-pages"], "blobs": "type guessed; no page"}
