"""Hosts x clients x kinds: every cell of docs/reference/matrix.md comes from a pull.

`MATRIX=write` writes the cells that this run found; without it, a run must
find what is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts import HOSTS, ROOT
from tests.matrix.clients import Client, clients, tried
from tests.matrix.content import Kind, write_registry

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DATA = Path(__file__).with_name("cells.json")
PAGE = ROOT / "docs/reference/matrix.md"
Cells = dict[str, dict[str, dict[str, bool]]]  # host, client, kind

INTRODUCTION = """\
# Which client works with which host

Each cell is a pull that was made: a real client, a real server with the files that
`builder build` wrote for it. `+` is a pull whose digests were checked, `-` one that failed. The
tests make all pulls again and compare them with this page.

Clients: skopeo 1.9, umoci 0.4.7, podman 4.3, buildah 1.28, containerd 1.6 and Docker 20.10, all of
Debian 12; python oras; curl. Servers: nginx, Caddy and Apache of Debian 12; Cloudflare Pages' and
Firebase's own local runtimes; an S3 server behind a domain of the bucket's own. `github-pages` is
a file server that does what is documented of GitHub Pages, `plain` is Python's.

Kinds: `single` is an OCI image for one platform, `index` one for two, `docker` an image in Docker's
schema 2, `zstd` one with zstd layers, `artifact` a file that is no container, `referrer` an
artifact attached to an image (curl finds it by the list of referrers, the others by its digest).

What a client cannot do on any host is no fault of the hosts: umoci, buildah, podman and Docker run
containers and refuse artifacts, and the older ones do not know zstd.
"""


def read() -> Cells:
    cells: Cells = json.loads(DATA.read_text()) if DATA.exists() else {}
    return cells


def page(cells: Cells) -> str:
    """Return the page that shows `cells`: a table for each kind."""
    hosts = [host for host in HOSTS if host in cells]
    names = list(cells[hosts[0]])
    kinds = list(cells[hosts[0]][names[0]])
    parts = [INTRODUCTION]
    for kind in kinds:
        lines = [f"## {kind}", "", "| | " + " | ".join(names) + " |"]
        lines.append("| --- " * (len(names) + 1) + "|")
        for host in hosts:
            marks = ("+" if cells[host][name][kind] else "-" for name in names)
            lines.append(f"| {host} | " + " | ".join(marks) + " |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


@pytest.fixture(scope="module")
def started_clients() -> Iterator[dict[str, Client]]:
    with clients() as found:
        yield found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Kind]]:
    folder = tmp_path_factory.mktemp("matrix") / "registry"
    return folder, write_registry(folder)


@pytest.mark.parametrize("host", HOSTS)
def test_every_client_pulls_what_the_table_says(
    host: str,
    started_clients: dict[str, Client],
    registry: tuple[Path, list[Kind]],
    tmp_path: Path,
) -> None:
    folder, kinds = registry
    with HOSTS[host](folder, tmp_path) as address, ThreadPoolExecutor() as threads:

        def try_all(client: Client) -> dict[str, str]:
            return {kind.name: tried(client, address, kind) for kind in kinds}

        # Side by side: some wait seconds for an answer over TLS before they ask without.
        tries = zip(started_clients, threads.map(try_all, started_clients.values()), strict=True)
        reasons = dict(tries)
    found = {
        name: {kind: not reason for kind, reason in by_kind.items()}
        for name, by_kind in reasons.items()
    }
    cells = read()
    if os.environ.get("MATRIX") == "write":
        cells[host] = found
        DATA.write_text(json.dumps(cells, indent=1) + "\n")
        PAGE.write_text(page(cells))
    assert found == cells.get(host), json.dumps(reasons, indent=1)


def test_the_page_shows_the_cells() -> None:
    assert PAGE.read_text() == page(read())
