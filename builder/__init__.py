"""A container registry made of plain files."""

from __future__ import annotations


def package_version() -> str:
    """Return the installed version, or 0.0.0 in a tree that was only unpacked."""
    try:
        from builder._version import version  # noqa: PLC0415 - an installation writes it
    except ImportError:
        return "0.0.0"
    return version


__all__ = ["package_version"]
