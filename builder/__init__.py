"""A container registry made of plain files."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("static-container-registry")
except PackageNotFoundError:  # running from an unpacked tree, without installation
    __version__ = "0.0.0"

__all__ = ["__version__"]
