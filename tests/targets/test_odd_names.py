"""Names that hosts have opinions about: every one is answered with its own bytes and type."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.hosts import HOSTS
from tests.images import CONFIG, INDEX, LAYER, MANIFEST, Image, as_json, layer_of

pytestmark = pytest.mark.e2e
WITH_RULES = ("builder serve", "nginx", "caddy", "apache", "cloudflare-pages", "firebase", "s3")
# What a server that knows programs would do with this, if it took it for one.
_PROGRAM = {"program": '<?php echo 1; ?><!--#echo var="DATE_LOCAL" -->'}
_TAGS = (
    "a" * 128, "_under", "1.0", "1x0", "v1.0-rc.1", "404", "index", "v2", "tags", "list", "blobs",
    "page.html", "both", "both.html", "no-referrers.json", "405.json", "x.gz", "x.php", "x.php.1",
    "x.cgi", "x.var", "x.shtml", "_headers", f"sha256-{'a' * 64}.sig", "sha256x",
)  # fmt: skip
_NAMES = ("a.b/c_d/e__f/g--h", "manifest/blob", "a/tag/list", "v2x/v2", "a/sha256", "foo.html/x")


def _sha512(media_type: str, data: bytes) -> dict[str, object]:
    digest = f"sha512:{hashlib.sha512(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _index_of_sha512() -> Image:
    layer, diff_id = layer_of("sha512")
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    config = as_json({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    made = {"config": _sha512(CONFIG, config), "layers": [_sha512(LAYER, layer)]}
    manifest = as_json({"schemaVersion": 2, "mediaType": MANIFEST, **made})
    entry = _sha512(MANIFEST, manifest) | {"platform": {"os": "linux", "architecture": "amd64"}}
    raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    blobs = {
        f"sha512:{hashlib.sha512(data).hexdigest()}": data for data in (manifest, config, layer)
    }
    return Image(raw, blobs, INDEX)


def _registry(collections: Path) -> dict[str, tuple[bytes, str]]:
    """Write collections; return the bytes and type of each path that is a manifest."""
    wanted = {}
    one = Image.of("one", annotations=_PROGRAM)
    two = Image.index(Image.of("two"), Image.of("three", architecture="arm64"))
    image = {"odd": one, "odd.types": two, "digests": _index_of_sha512()}
    places = [("odd", tag) for tag in _TAGS] + [("odd.types", tag) for tag in _TAGS[::3]]
    for name in _NAMES:
        places += [(name, "1.0"), (name, "multi.1")]
    for name, tag in [*places, ("digests", "1.0")]:
        made = image.get(name, two if tag == "multi.1" else one)
        made.tag(collections / name, tag)
        (collections / name / "README.md").write_text("---\ntitle: Odd\n---\n")
        for reference in (tag, made.digest):
            wanted[f"v2/{name}/manifests/{reference}"] = made.manifest, made.media_type
    first = next(iter(image["digests"].blobs))
    wanted[f"v2/digests/manifests/{first}"] = image["digests"].blobs[first], MANIFEST
    return wanted


Served = tuple[str, str, dict[str, tuple[bytes, str]]]


@pytest.fixture(scope="module", params=WITH_RULES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    source = tmp_path_factory.mktemp("odd") / "registry"
    wanted = _registry(source / "collections")
    (source / "_config.yml").write_text("title: Odd\n")
    with HOSTS[request.param](source, tmp_path_factory.mktemp("site")) as address:
        yield request.param, f"http://{address}", wanted


def ask(session: requests.Session, method: str, url: str) -> requests.Response:
    """Ask as clients do, which go where they are sent."""
    return session.request(method, url, timeout=10, allow_redirects=True)


def test_every_manifest_has_its_bytes_its_type_and_no_other_digest(served: Served) -> None:
    name, host, wanted = served
    with requests.Session() as session:
        for path, (data, media_type) in wanted.items():
            answer = ask(session, "GET", f"{host}/{path}")
            assert (path, answer.status_code) == (path, 200)
            assert answer.content == data
            assert (path, answer.headers["Content-Type"]) == (path, media_type)
            algorithm = "sha512" if "sha512:" in path else "sha256"
            digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
            assert answer.headers.get("Docker-Content-Digest", digest) == digest
            # The preview lets nothing be kept: it is about to change.
            for_ever = ":" in path and name != "builder serve"
            assert ("immutable" in answer.headers["Cache-Control"]) == for_ever, path
            head = ask(session, "HEAD", f"{host}/{path}")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers.get("Content-Length", str(len(data))) == str(len(data))
