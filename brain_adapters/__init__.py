"""The roof: the command line `brain-adapters`, its doctor, and the version of the distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("brain-adapters")
except PackageNotFoundError:  # imported from a checkout that was never installed
    __version__ = "0+unknown"
