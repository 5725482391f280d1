from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.world import make_app


@pytest.fixture(scope="session")
def oracle_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that holds a web app."""
    return make_app(tmp_path_factory.mktemp("app"))
