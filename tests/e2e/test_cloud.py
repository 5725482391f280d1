"""Layers in a real S3 server: brought there, pulled from there by way of nginx, seen when wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import requests

from builder.storage.objects import open_objects
from tests.hosts import BUILDER, run, run_nginx
from tests.images import Image

pytestmark = pytest.mark.e2e
LAYER: str = json.loads(Image.of("far away").manifest)["layers"][0]["digest"]
KEY = f"bucket/layers/blobs/{LAYER.replace(':', '/')}"


def builder(*arguments: str) -> tuple[int, str]:
    command = [*BUILDER, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_from_the_bucket_to_the_client(s3: str, registry: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    source = ["-s", str(registry)]
    (registry / "_config.yml").write_text(
        "registry:\n  commit_below: 0\n  blobs: s3://bucket/layers\n"
        f"  blobs_url: {s3}/bucket/layers\n"
    )
    image = Image.of("far away")
    image.layout(tmp_path / "layout", "1")
    code, said = builder("add", f"oci:{tmp_path}/layout", "a/b:1", *source)
    assert code == 0, said
    stored = requests.get(f"{s3}/{KEY}", timeout=30)
    assert stored.content == image.blobs[LAYER]
    assert stored.headers["Content-Type"] == "application/octet-stream"
    assert builder("check", "--blobs", *source)[0] == 0

    (tmp_path / "nginx").mkdir()
    with run_nginx(registry, tmp_path / "nginx") as host:
        answer = requests.get(f"http://{host}/v2/a/b/blobs/{LAYER}", timeout=30,
                              allow_redirects=False)  # fmt: skip
        assert (answer.status_code, answer.headers["Location"]) == (307, f"{s3}/{KEY}")
        pull = ["skopeo", "copy", "--src-tls-verify=false", f"docker://{host}/a/b:1"]
        run(*pull, f"oci:{tmp_path}/pulled:1")
        copy = tmp_path / "pulled/blobs" / LAYER.replace(":", "/")
        assert copy.read_bytes() == image.blobs[LAYER]
        assert builder("verify", f"http://{host}")[0] == 0
        assert builder("verify", str(tmp_path / "nginx/site"), *source)[0] == 0

        wrong = image.blobs[LAYER][:-1] + b"x"
        open_objects("s3://bucket").put(KEY.removeprefix("bucket/"), wrong, {})
        code, said = builder("verify", f"http://{host}")
        assert code == 1, said
        assert f"v2/a/b/blobs/{LAYER}: has other content" in said
        code, said = builder("check", "--blobs", *source)
        assert code == 1
        assert "the bytes have another digest" in said
        failed = subprocess.run([*pull, f"oci:{tmp_path}/wrong:1"], capture_output=True, timeout=90,
                                check=False)  # fmt: skip
        assert failed.returncode != 0

    # What is added again is put right.
    assert builder("add", f"oci:{tmp_path}/layout", "a/b:1", *source)[0] == 0
    assert requests.get(f"{s3}/{KEY}", timeout=30).content == image.blobs[LAYER]
    assert builder("untag", "a/b:1", *source)[0] == 0
    assert builder("gc", "--blobs", "--older-than", "0", "--delete", *source)[0] == 0
    assert requests.get(f"{s3}/{KEY}", timeout=30).status_code == 404


def test_a_published_bucket_is_verified_from_outside(
    s3: str, greeting: Path, tmp_path: Path
) -> None:
    source = ["-s", str(greeting)]
    code, public = builder("keygen", "-q", str(tmp_path / "key"))
    assert code == 0
    config = greeting / "_config.yml"
    config.write_text(f"registry:\n  target: s3\n  keys: [{public.strip()}]\n")
    code, said = builder("publish", "s3://bucket/site", "-q", *source)
    assert code == 2, said
    assert "must be signed" in said
    publish = ["publish", "s3://bucket/site", "--key", str(tmp_path / "key"), "-q", *source]
    assert builder(*publish)[0] == 0
    code, said = builder("verify", "--name", "", f"{s3}/bucket/site", *source)
    assert code == 0, said
    assert "release 1 of" in said
    assert "signed by" in said

    store = open_objects("s3://bucket/site")
    old = store.get("release.json")
    page = store.get("vanessa/greeting/index.html")
    assert old is not None
    assert page is not None
    readme = greeting / "collections/vanessa/greeting/README.md"
    readme.write_text("---\ntitle: Greeting\n---\nAnother greeting.\n")
    assert builder(*publish)[0] == 0
    assert builder("verify", "--name", "", f"{s3}/bucket/site", *source)[0] == 0
    # One page of the old release, then the old release as a whole.
    new = store.get("vanessa/greeting/index.html")
    assert new is not None
    store.put("vanessa/greeting/index.html", page[0], {"Content-Type": "text/html"})
    code, said = builder("verify", "--name", "", f"{s3}/bucket/site", *source)
    assert code == 1
    assert "vanessa/greeting/index.html: has " in said
    store.put("vanessa/greeting/index.html", new[0], {"Content-Type": "text/html"})
    store.put("release.json", old[0], {"Content-Type": "application/json"})
    code, said = builder("verify", "--name", "", f"{s3}/bucket/site", *source)
    assert code == 1
    assert "was seen here before" in said
