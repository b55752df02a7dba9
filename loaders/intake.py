"""A stream as a catalog entry: what ``cat["stream-train"].read(batch_size=64)`` runs.

The entry in a version's Intake catalog (written by `scidata.formats.intake`) names the reader
``scidata.loaders.intake:StreamReader`` and holds plain values only::

    data         FileData, url = {CATALOG_DIR}: the dataset's folder, whose parent is the store;
                 storage_options as for every other entry (of which endpoint_url and anon count)
    reference    dataset@version, such as tevolop@1.0.0
    digest       sha256:…, the digest that the version must have
    split        time/train

``read`` takes besides: batch_size (default 1) and all that `scidata.dataset.Dataset.stream`
takes. Plain Intake needs scidata and
torch for this entry only, and only when it is read.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from intake.readers.readers import BaseReader

from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.loaders.opening import open_stream
from scidata.loaders.order import Order, named
from scidata.loaders.stream import Stream
from scidata.published import check_pin, read_facts, read_published, read_record
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.storage.base import Store

_ORDER = {field.name for field in fields(Order)} - {"history"}


class StreamReader(BaseReader):  # type: ignore[misc]  # intake ships no types
    """Read a split part of a published version as batches of torch tensors."""

    imports = {"scidata", "torch"}  # noqa: RUF012  # intake declares it so
    output_instance = "torch.utils.data:IterableDataset"

    def _read(
        self,
        data: Any,  # Any: intake's FileData, untyped
        *,
        reference: str,
        split: str = "train",
        digest: str | None = None,
        asset: str | None = None,
        **options: Any,  # Any: the fields of Order, and what open_stream takes
    ) -> Stream:
        store = _store_of(str(data.url), data.storage_options or {})
        commit = resolve(reference, store)
        check_pin(commit, None if digest is None else Digest.parse(digest), store.url)
        order = {k: options.pop(k) for k in _ORDER & options.keys()}
        order["shuffle"] = named(order.get("shuffle", False))
        return open_stream(
            read_published(store, commit),
            read_record(store, commit),
            lambda: read_facts(store, commit),
            Order(**{"batch_size": 1, **order}),
            split=split,
            asset=asset,
            **options,
        )


def _store_of(folder: str, options: Mapping[str, Any]) -> Store:  # Any: fsspec's options
    if secret := sorted({"key", "secret", "token"} & set(options)):
        raise InvalidError(
            f"storage_options holds {', '.join(secret)}",
            where=folder,
            fix="give credentials through the usual AWS environment",
        )
    client = options.get("client_kwargs") or {}
    return open_store(
        folder.rstrip("/").rpartition("/")[0],
        endpoint_url=options.get("endpoint_url") or client.get("endpoint_url"),
        anonymous=bool(options.get("anon", False)),
    )
