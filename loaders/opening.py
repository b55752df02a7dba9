"""From a version in a store to a stream of its samples."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from scidata.errors import InvalidError
from scidata.facts import Facts
from scidata.loaders.cache import Cache
from scidata.loaders.order import Order
from scidata.loaders.places import asset_objects
from scidata.loaders.source import Asset, Source, Transform
from scidata.loaders.stream import DEFAULT_MEMORY, Stream
from scidata.manifest import Manifest
from scidata.published import (
    Published,
    find_asset,
    find_split,
    is_consolidated,
    read_split,
    read_statistics,
    references_key,
)
from scidata.record import Record, Samples
from scidata.resolve import read_tag


class StreamOptions(TypedDict, total=False):
    """What `Dataset.stream` takes besides the order of the samples; all may be left out."""

    asset: str | None
    """A Zarr asset with the variables of the samples. By default the one that the split fits,
    else that of the samples."""
    samples: Samples | None
    """What a sample is, in place of what the record declares."""
    stride: int | None
    """Steps from one window to the next, in place of what the samples declare."""
    memory: int | None
    """Bytes that the stream holds at most; by default 512 MiB. It bounds how far the shuffle
    ``window`` reaches, too."""
    threads: int | None
    """That decode; by default one a core that this process may use."""
    normalize: Sequence[str]
    """Variables that are scaled to mean 0 and deviation 1 by the version's statistics."""
    transform: Transform | None
    """A function of a sample, a dictionary of tensors, applied to each in the background."""
    verify: bool
    """Compare every object with its digest before it is decoded: objects are fetched whole."""
    cache: Cache | Path | str | None
    """A folder for objects on the local disk, or a `Cache` with another limit than 10 GiB. They
    are compared with their digests when they enter it."""


def open_stream(
    published: Published,
    record: Record,
    facts: Callable[[], Facts],
    order: Order,
    *,
    split: str = "train",
    **options: Unpack[StreamOptions],
) -> Stream:
    """Open the stream of a split part; `Dataset.stream` says what each option means."""
    if unknown := sorted(options.keys() - StreamOptions.__annotations__.keys()):
        raise InvalidError(
            f"there is no option {', '.join(map(repr, unknown))}",
            where="stream",
            fix=f"choose from {', '.join(StreamOptions.__annotations__)}",
        )
    samples, asset = options.get("samples"), options.get("asset")
    declared = _strided(samples or _samples(record), options.get("stride"))
    rule, part = find_split(record, split)
    key = asset or (samples.asset if samples else None) or rule.asset or declared.asset
    compared = options.get("verify", False) or options.get("cache") is not None
    opened = _asset(published, facts, key, compared=compared)
    source = Source(
        name=published.commit.name,
        digest=published.commit.digest,
        asset=opened,
        joined={
            join.asset: _asset(published, facts, join.asset, compared=compared)
            for join in declared.joins
        },
        samples=declared,
        split=f"{rule.name}/{part}",
        dimension=rule.dimension,
        ids=read_split(published, rule, part),
        normalize=_scales(published, declared, opened.key, options.get("normalize", ())),
        transform=options.get("transform"),
        verify=options.get("verify", False),
        cache=_cache(options.get("cache")),
    )
    memory = options.get("memory")
    return Stream(
        source,
        order,
        memory=DEFAULT_MEMORY if memory is None else memory,
        threads=options.get("threads"),
    )


def _asset(
    published: Published, facts: Callable[[], Facts], key: str, *, compared: bool
) -> Asset:
    commit = published.commit
    found = find_asset(commit, key)
    alone = found.path in published.manifest
    folder, name = found.path.rpartition("/")[::2] if alone else (found.path, "")
    index = references_key(commit, found)
    return Asset(
        key=found.key,
        kind=found.kind if index is None else "references",
        references=b""
        if index is None
        else zlib.compress(read_tag(published.store, commit, index), 1),
        path=name,
        objects=asset_objects(published, folder, published.files(found)),
        manifest=Manifest({name: published.manifest[found.path]})
        if alone
        else published.manifest.under(found.path),
        consolidated=found.kind == "zarr" and is_consolidated(facts(), found.key),
        where=f"{commit.name}, asset {found.key!r}",
        compared=compared,
    )


def _cache(cache: Cache | Path | str | None) -> Cache | None:
    return Cache(Path(cache)) if isinstance(cache, str | Path) else cache


def _samples(record: Record) -> Samples:
    if record.samples is None:
        raise InvalidError(
            f"the record of {record.id!r} does not say what a sample is",
            where=f"record of {record.id}",
            fix="read it with to_xarray or to_pandas, give samples=, or publish a version "
            "whose record has the field samples",
        )
    return record.samples


def _strided(samples: Samples, stride: int | None) -> Samples:
    """Let the first window stand at every `stride`-th place."""
    if stride is None:
        return samples
    if stride < 1 or not samples.windows:
        raise InvalidError(
            f"stride {stride} is not positive" if stride < 1 else "samples have no window",
            where="stream",
            fix="give 1 or more" if stride < 1 else "leave stride out",
        )
    first = samples.windows[0].model_copy(update={"stride": stride})
    return samples.model_copy(update={"windows": (first, *samples.windows[1:])})


def _scales(
    published: Published, samples: Samples, asset: str, names: Iterable[str]
) -> dict[str, tuple[float, float]]:
    wanted, held = tuple(names), (*samples.inputs, *samples.targets)
    if not wanted:
        return {}
    if other := [name for name in wanted if name not in held]:
        raise InvalidError(
            f"{', '.join(map(repr, other))} is none of the samples' variables",
            where="normalize",
            fix=f"choose from {', '.join(held)}",
        )
    variables = read_statistics(published, asset)["variables"]
    absent = [name for name in wanted if not variables.get(name, {}).get("std")]
    if absent:
        raise InvalidError(
            f"there is no deviation of {', '.join(map(repr, absent))}, or it is 0",
            where=f"{published.commit.name}, statistics of {asset!r}",
            fix="leave it out of normalize",
        )
    return {
        name: (float(variables[name]["mean"]), float(variables[name]["std"])) for name in wanted
    }
