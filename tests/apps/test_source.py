"""Apps straight from a registry: how much of them is on this disk at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.apps.source import RegistryApps
from builder.remote.options import RemoteOptions
from tests.apps.samples import small_app
from tests.hosts import until
from tests.images import MANIFEST, Image
from tests.page_host import Twists, pages

COUNT = 6


def offered(apps: list[Image]) -> dict[str, bytes]:
    """Return what a registry answers that has an app under each of some tags."""
    files = {"v2/index.html": b"{}"}
    for number, image in enumerate(apps):
        for reference in (f"v{number}", image.digest):
            files[f"v2/team/app/manifests/{reference}"] = image.manifest
        files |= {f"v2/team/app/blobs/{digest}": blob for digest, blob in image.blobs.items()}
    return files


def test_many_that_are_asked_for_at_once_are_not_all_unpacked_at_once(tmp_path: Path) -> None:
    made = [small_app(f"<h1>{number}</h1>") for number in range(COUNT)]
    layers = {f"v2/team/app/blobs/{list(image.blobs)[1]}" for image in made}
    twists = Twists(root="", typed=lambda _: MANIFEST)
    twists.gates = {path: threading.Event() for path in layers}
    with pages(offered(made), twists) as host, ThreadPoolExecutor(COUNT) as pool:
        apps = RegistryApps(
            host.url.removeprefix("http://"), RemoteOptions(), tmp_path / "store", limit=500
        )
        found = [
            pool.submit(apps.find, f"team/app/v{number}/index.html") for number in range(COUNT)
        ]

        def under_way() -> int:
            return len(layers & {path.removeprefix("/") for _, path in host.log})

        assert until(lambda: under_way() == 1)
        assert not until(lambda: under_way() > 1, seconds=1)
        for gate in twists.gates.values():
            gate.set()
        assert all(one.result(60) for one in found)
        assert under_way() == COUNT
    kept = [path for path in (tmp_path / "store").glob("*/*") if path.name != "app.json"]
    assert sum(path.stat().st_size for path in kept) <= 500
