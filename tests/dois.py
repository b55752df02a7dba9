"""DOIs for tests: the double of DataCite, a store with versions, and options for both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from scidata.doi import DoiOptions, Patience
from scidata.schemas import SchemaCache, schema_file
from scidata.storage.memory import MemoryStore
from scidata.testing.datacite import Double, datacite_double
from scidata.testing.faults import Crash
from tests.samples import write_bare
from tests.versions import write_version

BASE = "https://data.example.org"
DOI, CONCEPT = "10.5072/scidata.bare.v1.0.0", "10.5072/scidata.bare"
SECOND = "10.5072/scidata.bare.v1.1.0"


def official(schemas: Path | None) -> Path | None:
    return schemas and schema_file("datacite-4.7", SchemaCache(folder=schemas))


@contextmanager
def double(schemas: Path | None, **more: Any) -> Iterator[Double]:
    with datacite_double(official(schemas), **more) as running:
        yield running


def options(double: Double, schemas: Path | None, **changes: Any) -> DoiOptions:
    """Options that wait for nothing, in an environment of the double's."""
    environ = {
        **double.environment(),
        "SCIDATA_BASE_URL": BASE,
        "SCIDATA_SCHEMAS": str(schemas or "/nonexistent"),
        **changes.pop("environ", {}),
    }
    patience = changes.pop("patience", Patience(sleep=lambda _: None, answer_s=5, tries=3))
    return DoiOptions(
        **{"check_page": False, "patience": patience, "environ": environ, **changes}
    )


def store_of(folder: Path, *versions: str) -> MemoryStore:
    """A store with versions of a dataset of two files, each after the one before."""
    store = MemoryStore()
    before = None
    for version in versions:
        write_version(store, write_bare(folder / version, text=version), version, before)
        before = version
    return store


class Counted:
    """Counts the requests of every client of urllib3, and dies at one of them."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.count, self.at, self.after = 0, at, after
        self._real = urllib3.PoolManager.request

    def __call__(self, pool: urllib3.PoolManager, *arguments: Any, **more: Any) -> Any:
        self.count += 1
        due = self.count == self.at
        if due and not self.after:
            raise Crash
        answer = self._real(pool, *arguments, **more)
        if due:
            raise Crash
        return answer
