"""A container registry made of plain files."""

from __future__ import annotations


def package_version() -> str:
    """Return the installed version, or 0.0.0 in a tree that was only unpacked."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - 30 ms

    try:
        return version("static-container-registry")
    except PackageNotFoundError:
        return "0.0.0"


__all__ = ["package_version"]
