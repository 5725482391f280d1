"""`add --files` and `inspect --files --file` with layers as the world makes them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from builder.cli import run
from tests.images import LAYER, MANIFEST, Image, as_json, descriptor, sha256
from tests.layers.stacks import image_of

BinaryCapture = pytest.CaptureFixture[bytes]
LATIN = "caf\udce9"
KINDS = {"d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "p": tarfile.FIFOTYPE}


def tar(*members: tuple[str, bytes | tuple[str, str]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar of files (bytes) and of others (a kind and where it leads)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            if not isinstance(content, bytes):
                info.type, info.linkname = KINDS[content[0]], content[1]
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Shell:
    """The commands, on one registry."""

    def __init__(self, registry: Path, work: Path, capture: BinaryCapture) -> None:
        self._flags = ["-s", str(registry)]
        self._work = work
        self._capture = capture

    def run(self, name: str, *arguments: str) -> tuple[int, bytes, str]:
        self._capture.readouterr()
        code = run([name, *self._flags, *arguments])
        out, err = self._capture.readouterr()
        return code, out, err.decode()

    def add(self, image: Image, *flags: str, files: bool = True) -> tuple[int, bytes, str]:
        image.layout(self._work / image.digest, "1")
        flags = (*flags, "--files") if files else flags
        return self.run("add", *flags, f"oci:{self._work}/{image.digest}:1", "x/y:1")

    def add_tars(self, *layers: bytes) -> None:
        code, _, err = self.add(image_of(*layers), "-q")
        assert (code, err) == (0, "")

    def files(self) -> dict[str, str]:
        """Return each path of the image with its kind, and where it leads."""
        code, out, err = self.run("inspect", "--files", "--json", "x/y:1")
        assert (code, err) == (0, "")
        return {item["path"]: item["type"] + (item["target"] or "") for item in json.loads(out)}

    def file(self, path: str) -> bytes:
        code, out, err = self.run("inspect", "--file", path, "x/y:1")
        assert (code, err) == (0, "")
        return out

    def refused(self, path: str) -> str:
        code, out, err = self.run("inspect", "--file", path, "x/y:1")
        assert (code, out) == (1, b"")
        return err


@pytest.fixture
def shell(registry: Path, tmp_path: Path, capfdbinary: BinaryCapture) -> Shell:
    return Shell(registry, tmp_path, capfdbinary)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_no_utf8(shell: Shell, form: int) -> None:
    layer = tar(
        (f"usr/{LATIN}", b"coffee"), ("usr/like\\xe9", b"a backslash"),
        ("link", ("l", f"usr/{LATIN}")), ("hard", ("h", f"usr/{LATIN}")),
        ("nowhere", ("h", f"{LATIN}/gone")), form=form,
    )  # fmt: skip
    shell.add_tars(layer)
    assert shell.files() == {
        "usr": "d", "usr/caf\\xe9": "f", "usr/like\\\\xe9": "f", "link": "lusr/caf\\xe9",
        "hard": "husr/caf\\xe9", "nowhere": "hcaf\\xe9/gone",
    }  # fmt: skip
    for path in (f"usr/{LATIN}", "usr/caf\\xe9", "link", "/hard"):
        assert shell.file(path) == b"coffee"
    assert shell.file("usr/like\\xe9") == b"a backslash"
    assert "hard link to caf\\xe9/gone, which is not there" in shell.refused("nowhere")
    for command in ("build", "check"):
        assert shell.run(command, "-q")[0] == 0


def test_a_replaced_folder_is_gone(shell: Shell) -> None:
    lower = tar(("lib/libc.so", b"old"), ("lib/deep/module", b"old"), ("srv/data", b"old"))
    upper = tar(("usr/lib/libc.so", b"new"), ("lib", ("l", "usr/lib")), ("srv", b"a file"))
    shell.add_tars(lower, upper)
    assert shell.files() == {
        "lib": "lusr/lib", "srv": "f", "usr": "d", "usr/lib": "d", "usr/lib/libc.so": "f",
    }  # fmt: skip
    assert shell.file("lib/libc.so") == b"new"
    assert "has no file lib/deep/module, where it leads: usr/lib/deep/module" in shell.refused(
        "lib/deep/module"
    )
    assert "has no file srv/data" in shell.refused("srv/data")


def test_links_are_followed_inside_the_image(shell: Shell) -> None:
    shell.add_tars(
        tar(
            ("etc/passwd", b"the image's"), ("out", ("l", "../../../../etc/passwd")),
            ("all", ("l", "/etc")), ("a", ("l", "b")), ("b", ("l", "a")), ("none", ("l", "gone")),
            ("pipe", ("p", "")),
        )
    )  # fmt: skip
    for path in ("out", "all/passwd", "all/../etc/passwd", "../../etc/passwd"):
        assert shell.file(path) == b"the image's"
    for path, why in {
        "a": "form a loop", "none": "where it leads: gone", "all": "is a folder",
        "pipe": "is a pipe", "etc/passwd/x": "has no file", "/": "has no file",
    }.items():  # fmt: skip
        assert why in shell.refused(path)


@pytest.mark.parametrize("version", ["oldgnu", "gnu", "0.0", "0.1", "1.0"])
def test_sparse_files(shell: Shell, tmp_path: Path, version: str) -> None:
    """In each form that GNU tar writes, of more pieces than any header holds."""
    for name, pieces in (("few", 2), ("many", 300), ("hole", 0)):
        with (tmp_path / name).open("wb") as file:
            for number in range(pieces):
                file.seek(number * 16384 + 8192)
                file.write(bytes([65 + number % 26]) * 4096)
            file.truncate(8 << 20)
    (tmp_path / "after").write_bytes(b"after")
    form = (
        ["--format=pax", f"--sparse-version={version}"]
        if "." in version
        else [f"--format={version}"]
    )
    names = ("few", "many", "hole", "after")
    subprocess.run(["tar", "-S", *form, "-cf", "sparse.tar", *names], check=True, cwd=tmp_path)
    shell.add_tars((tmp_path / "sparse.tar").read_bytes())
    assert list(shell.files()) == sorted(names)
    for name in names:
        assert shell.file(name) == (tmp_path / name).read_bytes()


def test_a_long_extended_header(shell: Shell) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"SCHILY.xattr.user.big": "x" * (2 << 20)}
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("b"))
    shell.add_tars(out.getvalue())
    assert shell.files() == {"a": "f", "b": "f"}


def test_a_layer_that_cannot_be_listed_is_told_and_the_others_are_listed(shell: Shell) -> None:
    image = image_of(tar(("a", b"a")), b"no tar at all" * 99, tar(("c", b"c")))
    code, out, err = shell.add(image)
    digest = sha256(
        next(
            data
            for data in image.blobs.values()
            if b"no tar" in data[:400] or (data[:2] == b"\x1f\x8b" and len(data) < 60)
        )
    )
    assert code == 0
    assert b"listed the files of 2 layers" in out
    assert f"x/y:1: warning: the files of layer 2, {digest}, are not listed" in err
    assert "is not a tar archive" in err
    assert "nothing was changed" not in err
    code, out, err = shell.run("inspect", "--files", "x/y:1")
    assert code == 0
    assert "layer 2" in err
    assert [line.split()[-1] for line in out.decode().splitlines()] == ["a", "c"]
    assert shell.file("c") == b"c"
    assert "cannot tell what it contains" in shell.refused("a"), (
        "the second layer may have replaced it"
    )


def test_a_layer_that_ends_early_leaves_open_what_is_below(shell: Shell) -> None:
    whole = tar(("b", b"b" * 700), ("c", b"c"))
    image = image_of(tar(("a", b"a")), whole[:1400], pack=lambda number: number > 9)
    code, _, told = shell.add(image)
    assert code == 0
    assert "the files of layer 2" in told
    assert "are not all listed: the tar is cut short, in or after b" in told
    assert "the tar is cut short, in or after b" in shell.refused("a")
    for path in ("c", "never/there"):
        assert f"{path}: cannot tell whether it exists: a layer" in shell.refused(path)
    code, out, err = shell.run("inspect", "--files", "x/y:1")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "is not listed to its end: the tar is cut short, in or after b" in err


@pytest.mark.parametrize("damage", ["cut", "checksum", "junk"])
@pytest.mark.parametrize("packer", ["gzip", "zstd", "xz", "bzip2"])
def test_a_damaged_layer_is_told_whatever_packed_it(shell: Shell, packer: str, damage: str) -> None:
    plain = tar(*((name, name.encode() * 20_000) for name in "abcdefgh"))
    flags = ["--check"] if packer == "zstd" else []
    packed = subprocess.run(
        [packer, "-c", *flags], input=plain, capture_output=True, check=True
    ).stdout
    spoiled = {
        "cut": packed[: len(packed) // 2],
        "checksum": packed[:-5] + bytes(byte ^ 1 for byte in packed[-5:]),
        "junk": packed + b"junk" * 50,
    }[damage]
    image = image_of(plain, pack=lambda _: False)
    whole = json.loads(image.manifest)
    media_type = f"application/vnd.oci.image.layer.v1.tar+{packer}"
    raw = as_json({**whole, "layers": [descriptor(media_type, spoiled)]})
    image = Image(raw, {**image.blobs, sha256(spoiled): spoiled})
    code, _, told = shell.add(image, files=False)
    assert code == 0
    assert f"layer 1, {sha256(spoiled)}, is damaged {packer}: " in told
    code, _, told = shell.add(image)
    assert code == 0
    assert "warning: the files of layer 1" in told


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.sylabs.sif.layer.v1.sif",
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego",
        "application/vnd.devcontainers.layer.v1+tar",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
    ],
)
def test_types_that_are_no_layers_of_files(shell: Shell, media_type: str) -> None:
    image = Image.of("text")
    document = json.loads(image.manifest)
    data = b"neither tar nor gzip"
    document["layers"].append(descriptor(media_type, data))
    blobs = {**image.blobs, sha256(data): data}
    code, out, err = shell.add(Image(as_json(document), blobs, MANIFEST))
    assert code == 0
    assert b"listed the files of 1 layer" in out
    assert "not listed" not in err
    assert shell.files() == {"hello.txt": "f"}
    assert shell.file("hello.txt") == b"text"
    assert media_type != LAYER


def test_arguments_may_be_no_utf8(shell: Shell) -> None:
    shell.add_tars(tar((LATIN, b"coffee")))
    assert shell.file(os.fsdecode(b"caf\xe9")) == b"coffee"
    assert "has no file" in shell.refused(os.fsdecode(b"\xe9\xe9"))
