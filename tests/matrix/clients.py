"""The clients that run here; each pulls one image, checks what it got, and forgets it again.

A client is a function of host, kind and an empty folder. It raises `Failed`
with the reason when the image did not come as it should.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import oras.client
import requests

from tests.daemons import run_containerd, run_docker
from tests.matrix.content import Kind

Client = Callable[[str, Kind, Path], None]
ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


class Failed(Exception):  # noqa: N818 - it is an outcome, not an error of the test
    """A client did not get the image."""


def command(*words: str, seconds: int = 60) -> str:
    """Run a client; return its output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode:
        raise Failed(done.stderr.strip()[-300:] or f"exit {done.returncode}")
    return done.stdout


def _must(found: object, wanted: object) -> None:
    if found != wanted:
        raise Failed(f"got {found}, not {wanted}")


def _layout_digest(layout: Path) -> str:
    index = json.loads((layout / "index.json").read_bytes())
    digest: str = index["manifests"][0]["digest"]
    blob = layout / "blobs" / digest.replace(":", "/")
    _must("sha256:" + hashlib.sha256(blob.read_bytes()).hexdigest(), digest)
    return digest


def skopeo(host: str, kind: Kind, folder: Path) -> None:
    """Copy everything into an image layout, bytes as they are."""
    source = f"docker://{host}/{kind.repository}{kind.reference}"
    keep = "--all" if kind.name == "index" else "--preserve-digests"
    layout = f"{folder}/layout"
    command("skopeo", "copy", keep, "--src-tls-verify=false", source, f"oci:{layout}:copied")
    # A layout cannot hold Docker's own types: skopeo converts that one, and says so.
    if kind.name != "docker":
        _must(_layout_digest(folder / "layout"), kind.digest)


def umoci(host: str, kind: Kind, folder: Path) -> None:
    """Unpack what skopeo has copied."""
    source = f"docker://{host}/{kind.repository}{kind.reference}"
    layout = f"{folder}/layout:copied"
    command("skopeo", "copy", "--src-tls-verify=false", source, f"oci:{layout}")
    command("umoci", "unpack", "--rootless", "--image", layout, f"{folder}/bundle")
    if not (folder / "bundle/rootfs/hello.txt").is_file():
        raise Failed("the image's file is not there")


def podman(options: list[str], host: str, kind: Kind, folder: Path) -> None:
    """Pull, look at the digest, remove."""
    del folder
    name = f"{host}/{kind.repository}{kind.reference}"
    command(*options, "pull", "-q", "--tls-verify=false", name)
    found = command(*options, "image", "inspect", "--format", "{{.Digest}}", name).strip()
    command(*options, "rmi", "-f", name)
    if kind.name != "index":  # of an index, podman tells the digest of the platform's own
        _must(found, kind.digest)


def buildah(options: list[str], host: str, kind: Kind, folder: Path) -> None:
    """Pull, look whether it is there, remove."""
    del folder
    name = f"{host}/{kind.repository}{kind.reference}"
    image = command(*options, "pull", "-q", "--tls-verify=false", name).strip()
    command(*options, "rmi", "-f", image)


def containerd(options: list[str], host: str, kind: Kind, folder: Path) -> None:
    """Pull, look at the digest, remove."""
    del folder
    name = f"{host}/{kind.repository}{kind.reference}"
    command(*options, "images", "pull", "--plain-http", "--snapshotter", "native", name)
    listed = command(*options, "images", "list", f"name=={name}")
    command(*options, "images", "remove", "--sync", name)
    if kind.digest not in listed:
        raise Failed(f"{kind.digest} is not listed")


def docker(options: list[str], host: str, kind: Kind, folder: Path) -> None:
    """Pull, look at the digest, remove."""
    del folder
    name = f"{host}/{kind.repository}{kind.reference}"
    said = command(*options, "pull", "-q", name)
    shown = command(*options, "image", "inspect", "--format", '{{join .RepoDigests " "}}', name)
    command(*options, "rmi", "-f", name)
    if kind.digest not in shown + said:
        raise Failed(f"{kind.digest} is not in {shown!r}")


def python_oras(host: str, kind: Kind, folder: Path) -> None:
    """Pull an artifact's files; of an image, its manifest and its layers."""
    client = oras.client.OrasClient(insecure=True)
    target = f"{host}/{kind.repository}{kind.reference}"
    try:
        if kind.name in ("artifact", "referrer"):
            files = client.pull(target=target, outdir=str(folder))
            _must([Path(file).name for file in files], ["data.tgz"])
            return
        container = client.get_container(target)
        manifest = client.get_manifest(container)
        for layer in _layers(client, manifest, container):
            blob = client.get_blob(container, layer["digest"])
            _must("sha256:" + hashlib.sha256(blob.content).hexdigest(), layer["digest"])
    except (ValueError, OSError, requests.RequestException, KeyError) as error:
        raise Failed(str(error)[-300:]) from error


def _layers(client: oras.client.OrasClient, manifest: Mapping, container: object) -> Iterator[dict]:  # type: ignore[type-arg]
    if "layers" in manifest:
        yield from manifest["layers"]
    for child in manifest.get("manifests", ()):
        raw = client.get_blob(container, child["digest"]).content
        yield from json.loads(raw)["layers"]


def curl(host: str, kind: Kind, folder: Path) -> None:
    """Fetch the manifest and all that it names, hashing each; a referrer by its list."""
    base = f"http://{host}/v2/{kind.repository}"
    reference = kind.reference[1:]
    raw = _fetch(f"{base}/manifests/{reference}", folder, "-H", f"Accept: {ACCEPT}")
    _must("sha256:" + hashlib.sha256(raw).hexdigest(), kind.digest)
    document = json.loads(raw)
    for child in document.get("manifests", ()):
        raw = _fetch(f"{base}/manifests/{child['digest']}", folder, "-H", f"Accept: {ACCEPT}")
        _must("sha256:" + hashlib.sha256(raw).hexdigest(), child["digest"])
    for blob in (document.get("config"), *document.get("layers", ())):
        if blob:
            raw = _fetch(f"{base}/blobs/{blob['digest']}", folder)
            _must("sha256:" + hashlib.sha256(raw).hexdigest(), blob["digest"])
    if "subject" in document:
        _must_list(base, document["subject"]["digest"], kind.digest, folder)


def _must_list(base: str, subject: str, digest: str, folder: Path) -> None:
    """Find a referrer as the specification says: by the endpoint, else by the tag schema."""
    try:
        raw = _fetch(f"{base}/referrers/{subject}", folder)
    except Failed:
        raw = _fetch(f"{base}/manifests/{subject.replace(':', '-')}", folder)
    if digest not in [entry["digest"] for entry in json.loads(raw)["manifests"]]:
        raise Failed("the referrer is not in the list")


def _fetch(url: str, folder: Path, *flags: str) -> bytes:
    out = folder / "body"
    command("curl", "-fsSL", "--max-time", "30", *flags, "-o", str(out), url)
    return out.read_bytes()


@contextmanager
def clients() -> Iterator[dict[str, Client]]:
    """Start the daemons that clients need; yields all clients by name."""
    with ExitStack() as stack:
        # Sockets have short paths only.
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="m")))
        storage = ["--storage-driver=vfs", f"--root={base}/root", f"--runroot={base}/run"]
        pod = ["podman", *storage, "--cgroup-manager=cgroupfs", f"--tmpdir={base}/tmp"]
        stack.callback(subprocess.run, [*pod, "system", "reset", "--force"], check=False,
                       capture_output=True, timeout=60)  # fmt: skip
        build = ["buildah", "--storage-driver=vfs", f"--root={base}/b", f"--runroot={base}/br"]
        yield {
            "skopeo": skopeo,
            "umoci, after skopeo": umoci,
            "podman": partial(podman, pod),
            "buildah": partial(buildah, build),
            "containerd": partial(containerd, stack.enter_context(run_containerd(base / "c"))),
            "docker": partial(docker, stack.enter_context(run_docker(base / "d"))),
            "python oras": python_oras,
            "curl": curl,
        }


def tried(client: Client, host: str, kind: Kind) -> str:
    """Return empty when a client gets an image from a host, else why not."""
    folder = Path(tempfile.mkdtemp(prefix="m"))
    try:
        client(host, kind, folder)
    except Failed as failure:
        return str(failure) or "failed"
    except subprocess.TimeoutExpired:
        return "took too long"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ""
