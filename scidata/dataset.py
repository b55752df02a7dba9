"""An opened version: from it everything is read, checked and streamed.

Opening costs one or two requests. The record, the facts and the manifest are read when they are
first needed, and compared with the digests in the commit record; tables, splits and whole
objects of arrays are compared with the manifest. Of sharded arrays and of large files only
ranges are read: that an object is there is checked, its bytes are not (`scidata.verify` does).
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.facts import Facts
from scidata.parallel import each
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.version import CommitRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import xarray as xr

    from scidata.loaders.opening import StreamOptions
    from scidata.loaders.stream import Stream
    from scidata.published import Published
    from scidata.record import Record
    from scidata.sshsig import PublicKey


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A published version, opened; `open` makes one."""

    store: Store
    commit: CommitRecord

    @property
    def name(self) -> str:
        """``dataset@version``."""
        return self.commit.name

    @property
    def digest(self) -> Digest:
        """The version's digest."""
        return Digest.parse(self.commit.digest)

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the assets."""
        return tuple(asset.key for asset in self.commit.assets)

    @property
    def splits(self) -> tuple[str, ...]:
        """Parts of the splits, such as ``time/train``."""
        return tuple(f"{s.name}/{p.name}" for s in self.record.splits for p in s.parts)

    @cached_property
    def record(self) -> "Record":
        """What the dataset is; checked against the commit record."""
        from scidata.published import read_record

        return read_record(self.store, self.commit)

    @cached_property
    def facts(self) -> Facts:
        """Sizes, variables, shapes; checked against the commit record."""
        from scidata.published import read_facts

        return read_facts(self.store, self.commit)

    @cached_property
    def published(self) -> "Published":
        """Store, commit record and manifest, as the loaders take them."""
        from scidata.published import read_published

        return read_published(self.store, self.commit)

    def to_xarray(self, asset: str, *, group: str | None = None) -> "xr.Dataset":
        """Open arrays lazily, Zarr, NetCDF or HDF5: values are read when they are used.

        Whole objects of Zarr are compared with their digests as they arrive, ranges of shards
        are not. A NetCDF or HDF5 file of up to 64 MiB is read whole and compared; of a larger
        one only ranges are read, and nothing is compared. NetCDF 3 is always read whole.

        Parameters
        ----------
        asset : str
            Key of an asset of arrays, such as ``grid``.
        group : str, optional
            Path of a group in it, such as ``coarse/daily``; ``/`` is the root. By default the
            root, or the only group with variables if the root has none.

        Raises
        ------
        NotFoundError
            If the version has no such asset or group, or several groups hold variables and the
            root none; the groups are named.
        InvalidError
            If the asset holds no arrays, is a folder of files, or needs scipy (NetCDF 3).
        IntegrityError
            When a chunk is missing from the store, or a whole object differs from its digest.
        """
        from scidata.opening import open_arrays

        return open_arrays(self.published, asset, group)

    def to_pandas(self, asset: str) -> "pd.DataFrame":
        """Read a table, Parquet, CSV or TSV (also .gz, .bz2, .xz), compared with its digest.

        Parameters
        ----------
        asset : str
            Key of an asset that is a table, such as ``events``; a folder of files with the
            same columns is one table.

        Raises
        ------
        NotFoundError, IntegrityError
            As for `to_xarray`.
        InvalidError
            If the asset is no table, or is more than 8 GiB, or 2 GiB of text once decompressed.
        """
        from scidata.opening import read_table

        return read_table(self.published, asset)

    def split(self, name: str) -> tuple[str, ...]:
        """Read the sample ids of a split part, compared with the manifest.

        Parameters
        ----------
        name : str
            ``time/train``, or ``train`` for the default split.

        Returns
        -------
        tuple of str
            Sorted.
        """
        from scidata.published import find_split, read_split

        rule, part = find_split(self.record, name)
        return read_split(self.published, rule, part)

    def statistics(self, asset: str | None = None) -> dict[str, Any]:  # Any: JSON
        """Read count, mean, std, min and max per variable, and what they were computed over.

        Parameters
        ----------
        asset : str, optional
            One asset's: ``{"over": "time/train", "variables": {name: {"mean": …}}}``. By
            default all, by key.
        """
        from scidata.published import read_statistics

        return read_statistics(self.published, asset)

    def stream(
        self,
        split: str = "train",
        *,
        batch_size: int,
        shuffle: bool | Literal["none", "window", "exact"] = False,
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        last: Literal["keep", "drop"] = "keep",
        **options: "Unpack[StreamOptions]",
    ) -> "Stream":
        """Stream the samples of a split part as batches of torch tensors.

        Parameters
        ----------
        split : str
            ``time/train``, or ``train`` for the default split.
        batch_size : int
            Samples in a batch.
        shuffle : bool or {"none", "window", "exact"}
            In an order that seed and epoch fix, whatever the number of workers and threads.
            ``window``, or True: tiles come in random order, and samples are mixed from as many
            as `memory` holds; every byte is read once. ``exact``: one permutation of all
            samples; chunks are read as often as samples touch them.
        seed, epoch : int
            Fix the order; `Stream.set_epoch` chooses another epoch later.
        rank, world_size : int
            This process among those that train together. Shares are disjoint and complete.
        last : {"keep", "drop"}
            Keep the last, shorter batch; or give every rank the same number of full batches.
        **options
            What is streamed and how: see `StreamOptions`.

        Returns
        -------
        Stream
            An iterable of dictionaries: for every variable of the samples a tensor (B, …),
            floating and packed numbers as float32 with NaN where the data has none, whole ones
            as they are stored; and for every dimension that samples stand along the index of
            the entry or of the window's last step, (B,) int64. Also for
            ``torch.utils.data.DataLoader(stream, batch_size=None)``.

        Raises
        ------
        InvalidError
            If torch is not installed, an option is out of range, or the record declares no
            samples.
        NotFoundError
            If there is no such split or asset.
        """
        _require_torch()
        from scidata.loaders.opening import open_stream
        from scidata.loaders.order import Order, named

        order = Order(
            batch_size=batch_size,
            shuffle=named(shuffle),
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
            last=last,
        )
        # Beside each other: of a store that is far away each keeps one waiting.
        needed = ["published", "record"]
        if any(asset.kind == "zarr" for asset in self.commit.assets):
            needed.append("facts")
        deque(each(partial(getattr, self), needed), maxlen=0)
        facts = lambda: self.facts  # noqa: E731  # read only where it is asked for
        return open_stream(self.published, self.record, facts, order, split=split, **options)

    def __repr__(self) -> str:
        lines = [f"<Dataset {self.name}  {self.digest.short}  {self.store.url}>"]
        width = max((len(a.key) for a in self.commit.assets), default=0)
        lines += [
            f"  {a.key:<{width}}  {a.kind:<7}  {a.files:>6} files  {a.bytes:>13,} bytes"
            for a in self.commit.assets
        ]
        return "\n".join(lines)


def open(
    reference: str,
    store: StoreLike | None = None,
    *,
    digest: Digest | str | None = None,
    trusted: "Iterable[PublicKey] | None" = None,
) -> Dataset:
    """Open a published version by name.

    Parameters
    ----------
    reference : str
        ``tevolop@1.0.0``, ``tevolop@sha256:…``, or ``tevolop`` for the newest.
    store : Store, str or Path, optional
        A store, its URL or folder. By default ``$SCIDATA_STORE``, else the user's data folder.
    digest : Digest or str, optional
        The digest that the version must have.
    trusted : iterable of PublicKey, optional
        Keys (see `scidata.signing.load_trusted`), one of which must have signed the version. By
        default no signature is asked for.

    Raises
    ------
    NotFoundError
        If the store has no such version.
    IntegrityError
        If the version has another digest.
    SignatureError
        If `trusted` is given and none of these keys signed the version.
    StorageError
        If the store cannot be reached.
    """
    from scidata.published import check_pin

    opened = open_store(store)
    commit = resolve(reference, opened)
    pin = Digest.parse(digest) if isinstance(digest, str) else digest
    check_pin(commit, pin, opened.url)
    if trusted is not None:
        from scidata.signing import require_signature

        require_signature(opened, commit, trusted)
    return Dataset(store=opened, commit=commit)


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InvalidError(
            "streaming makes torch tensors, and torch is not installed",
            where="Dataset.stream",
            fix='pip install "fair-scidata[torch]"',
        )
