"""What a media type says of content, and what a file's name says of its media type."""

from __future__ import annotations

import pytest

from builder.oci import mediatype


@pytest.mark.parametrize(
    ("media_type", "packed", "is_layer"),
    [
        ("application/vnd.oci.image.layer.v1.tar", "", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", "gzip", True),
        ("application/vnd.oci.image.layer.v1.tar+zstd", "zstd", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip", True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip", True),
        ("application/vnd.docker.image.rootfs.diff.tar", "", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip", True),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "gzip", False),
        ("application/vnd.cncf.flux.content.v1.tar+gzip", "gzip", False),
        ("application/vnd.devcontainers.layer.v1+tar", "", False),
        ("application/x-tar", "", False),
    ],
)
def test_tars(media_type: str, packed: str, *, is_layer: bool) -> None:
    assert mediatype.is_tar(media_type)
    assert mediatype.compression(media_type) == packed
    assert mediatype.is_filesystem_layer(media_type) is is_layer


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.sylabs.sif.layer.v1.sif",
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.oci.image.layer.v1.target",
        "application/gzip",
        "text/plain",
        "",
    ],
)
def test_no_tars(media_type: str) -> None:
    assert not mediatype.is_tar(media_type)
    assert not mediatype.is_filesystem_layer(media_type)
    assert mediatype.compression(media_type) == ""


def test_layers_that_may_not_be_passed_on() -> None:
    assert mediatype.is_foreign_layer(mediatype.DOCKER_FOREIGN_LAYER)
    assert mediatype.is_foreign_layer("application/vnd.oci.image.layer.nondistributable.v1.tar")
    assert not mediatype.is_foreign_layer(mediatype.OCI_LAYER_GZIP)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html"),
        ("a.b/APP.JS", "text/javascript"),
        ("app.wasm", "application/wasm"),
        ("fonts/a.woff2", "font/woff2"),
        ("image.sif", mediatype.SIF_LAYER),
        ("LICENSE", mediatype.OCTET_STREAM),
        ("x.exe", mediatype.OCTET_STREAM),
        ("", mediatype.OCTET_STREAM),
    ],
)
def test_names_of_files(name: str, media_type: str) -> None:
    assert mediatype.of_file(name) == media_type


def test_text_is_utf8() -> None:
    assert mediatype.with_charset("text/html") == "text/html; charset=utf-8"
    assert mediatype.with_charset("image/png") == "image/png"
