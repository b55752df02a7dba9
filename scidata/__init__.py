"""Publish, verify, cite and stream machine-learning datasets.

These names are the whole public surface of the top level; everything else is reached by module.
They are loaded on first use, so that ``import scidata`` stays light. No module may have the
name of one of them: importing it would put the module in the function's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from scidata.about import __version__

if TYPE_CHECKING:
    from scidata.building import build
    from scidata.catalog import open_catalog
    from scidata.dataset import open
    from scidata.digest import Digest
    from scidata.errors import ScidataError
    from scidata.publishing import publish
    from scidata.pulling import pull
    from scidata.record import Record
    from scidata.resolve import list_versions
    from scidata.verifying import verify

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
    "build": "scidata.building",
    "list_versions": "scidata.resolve",
    "open": "scidata.dataset",
    "open_catalog": "scidata.catalog",
    "publish": "scidata.publishing",
    "pull": "scidata.pulling",
    "verify": "scidata.verifying",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        msg = f"module 'scidata' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
