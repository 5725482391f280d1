"""What is shown of charts: the chart's own values and README, and nothing of odd archives."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from builder.pages.chartfiles import chart_files
from tests.apps.samples import packed, special
from tests.pages.samples import Maker

CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
VALUES = {"web/values.yaml": "replicas: 2\n", "web/charts/db/values.yaml": "of another\n"}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (packed({**VALUES, "web/README.md": "# Web\n"}), ["values.yaml", "README.md"]),
        (packed([special("web/values.yaml", b"2", "/etc/passwd")]), []),
        (packed({"web/values.yaml": "x" * 100_000}), []),
        (gzip.compress(bytes(64 << 20)), []),
        (packed(VALUES)[:40], []),
        (b"no archive", []),
    ],
)
def test_a_charts_own_files(content: bytes, names: list[str], tmp_path: Path) -> None:
    maker = Maker("charts/web")
    layer = maker.blob("chart", len(content), CHART)
    manifest = maker.manifest({"mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": maker.blob("config", 2), "layers": [layer]})  # fmt: skip
    (tmp_path / "chart").write_bytes(content)
    place = maker.blobs[layer["digest"]]
    maker.blobs[layer["digest"]] = replace(place, file=tmp_path / "chart")
    assert [file.name for file in chart_files(maker.done(), manifest)] == names
