"""Whether a store may be written to: it keeps its promises, or a single writer is promised."""

from scidata.errors import StorageError
from scidata.storage.base import Store
from scidata.storage.probe import fault_of, is_remembered, remember
from scidata.storage.single_writer import SingleWriterStore
from scidata.surroundings import Surroundings


def trusted(store: Store, around: Surroundings, *, single_writer: bool) -> tuple[Store, bool]:
    """Return the store to write to, and whether it breaks its promises.

    Raises
    ------
    StorageError
        If it is read-only, or ignores conditional writes and no single writer is promised.
    """
    if not store.writable:
        raise StorageError(
            "the store is read-only",
            where=store.address,
            fix="give a folder or s3://bucket/prefix, with credentials",
        )
    remembered = store.url.startswith("s3://")  # a folder or memory answers at once
    if remembered and is_remembered(around.memory, store.address, now=around.now()):
        return store, False
    fault = fault_of(store, around.token())
    if fault is None:
        if remembered:
            remember(around.memory, store.address, now=around.now())
        return store, False
    if not single_writer:
        raise StorageError(
            f"two publishers could destroy each other's work in this store: {fault}",
            where=store.address,
            fix="use a store that honours conditional writes (If-None-Match); or, if you are "
            "certain that nobody else publishes to it, add --single-writer",
        )
    return SingleWriterStore(store), True
