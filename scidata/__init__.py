"""Publish, verify, cite and stream machine-learning datasets.

These names are the whole public surface of the top level; everything else is reached by module.
They are loaded on first use, so that ``import scidata`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scidata.build import build
    from scidata.catalog import open_catalog
    from scidata.dataset import open
    from scidata.digest import Digest
    from scidata.errors import ScidataError
    from scidata.publish import publish
    from scidata.pull import pull
    from scidata.record import Record
    from scidata.resolve import list_versions
    from scidata.verify import verify

__version__ = "0.1.0"
__all__ = [
    "Digest",
    "Record",
    "ScidataError",
    "__version__",
    "build",
    "list_versions",
    "open",
    "open_catalog",
    "publish",
    "pull",
    "verify",
]

_HOME = {
    "Digest": "scidata.digest",
    "Record": "scidata.record",
    "ScidataError": "scidata.errors",
    "build": "scidata.build",
    "list_versions": "scidata.resolve",
    "open": "scidata.dataset",
    "open_catalog": "scidata.catalog",
    "publish": "scidata.publish",
    "pull": "scidata.pull",
    "verify": "scidata.verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        msg = f"module 'scidata' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
