"""What hosts must do besides serving images: redirects, secrets kept, pages as they are meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.hosts import HOSTS
from tests.images import Image

pytestmark = pytest.mark.e2e
WITH_RULES = ("builder serve", "nginx", "caddy", "apache", "cloudflare-pages", "firebase")
NAME = "vanessa/greeting"


@pytest.fixture(scope="module", params=WITH_RULES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry whose layers are elsewhere, on each host that can say so."""
    name: str = request.param
    source = tmp_path_factory.mktemp("elsewhere") / "registry"
    collection = source / "collections" / NAME
    collection.mkdir(parents=True)
    (source / "_config.yml").write_text(
        "title: Test\nregistry:\n  blobs: https://blobs.example.org/store\n"
    )
    (collection / "README.md").write_text("---\ntitle: Greeting\n---\nHello.\n")
    image = Image.of("moved")
    image.tag(collection, "1.0")
    _layer(image, collection).unlink()
    with HOSTS[name](source, tmp_path_factory.mktemp("site")) as address:
        yield f"http://{address}"


def _layer(image: Image, collection: Path) -> Path:
    return collection / "blobs" / list(image.blobs)[1].replace(":", "/")


def get(url: str, **more: bool) -> requests.Response:
    return requests.get(url, timeout=10, allow_redirects=False, **more)  # type: ignore[arg-type]


def test_a_layer_that_is_elsewhere_is_a_redirect(host: str) -> None:
    layer = list(Image.of("moved").blobs)[1]
    answer = get(f"{host}/v2/{NAME}/blobs/{layer}")
    assert answer.status_code in (302, 307)
    wanted = f"https://blobs.example.org/store/blobs/{layer.replace(':', '/')}"
    assert answer.headers["Location"] == wanted


def test_what_is_here_is_not_redirected(host: str) -> None:
    config = next(iter(Image.of("moved").blobs))
    assert get(f"{host}/v2/{NAME}/blobs/{config}").status_code == 200


def test_the_marker_of_the_build_is_not_served(host: str) -> None:
    answer = get(f"{host}/.builder-site")
    assert answer.status_code in (302, 404)
    assert b"builder-site 1" not in answer.content


def test_what_is_missing_is_404_with_the_site_s_page(host: str) -> None:
    answer = get(f"{host}/no/such/page")
    assert answer.status_code == 404
    assert "html" in answer.headers["Content-Type"]
    assert b"</html>" in answer.content


def test_pages_and_lists_are_there(host: str) -> None:
    assert b"Greeting" in get(f"{host}/{NAME}/").content
    assert get(f"{host}/{NAME}/tags/").json() == {"name": NAME, "tags": ["1.0"]}


def test_nobody_guesses_types_or_changes_bytes(host: str) -> None:
    answer = get(f"{host}/v2/{NAME}/manifests/1.0")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # The preview lets nothing be kept: it is about to change.
    assert answer.headers["Cache-Control"] in ("public, max-age=60, no-transform", "no-cache")
    assert "Content-Encoding" not in answer.headers


def test_web_pages_elsewhere_may_read(host: str, request: pytest.FixtureRequest) -> None:
    answer = get(f"{host}/v2/{NAME}/manifests/1.0")
    # The preview is nobody else's to read.
    wanted = None if request.node.callspec.params["host"] == "builder serve" else "*"
    assert answer.headers.get("Access-Control-Allow-Origin") == wanted
