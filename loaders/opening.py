"""From a version in a store to a stream of its samples."""

from scidata.errors import InvalidError
from scidata.loaders.plan import Order
from scidata.loaders.samples import SampleSpec
from scidata.loaders.stream import DEFAULT_MEMORY, Source, Stream
from scidata.published import (
    Published,
    find_asset,
    find_split,
    is_consolidated,
    read_facts,
    read_split,
)
from scidata.record import Record, Samples


def open_stream(
    published: Published,
    record: Record,
    order: Order,
    *,
    split: str = "train",
    asset: str | None = None,
    stride: int = 1,
    memory: int = DEFAULT_MEMORY,
) -> Stream:
    """Open the stream of a split part; `Dataset.stream` says what each option means."""
    if stride < 1:
        raise InvalidError(
            f"stride {stride} is not positive", where="stream", fix="give 1 or more"
        )
    commit = published.commit
    samples = _samples(record)
    rule, part = find_split(record, split)
    found = find_asset(commit, asset or rule.asset or samples.asset, "zarr")
    source = Source(
        name=commit.name,
        digest=commit.digest,
        asset=found.key,
        split=f"{rule.name}/{part}",
        objects=published.store.objects(f"{commit.dataset}/{found.href}"),
        manifest=published.manifest.under(found.path),
        consolidated=is_consolidated(read_facts(published.store, commit), found.key),
        spec=SampleSpec(
            series=samples.series,
            along=samples.along,
            window=samples.window,
            inputs=samples.inputs,
            targets=samples.targets,
            constants=samples.constants,
            lead=samples.lead,
        ),
        dimension=rule.dimension,
        ids=read_split(published, rule, part),
        stride=stride,
    )
    return Stream(source, order, memory=memory)


def _samples(record: Record) -> Samples:
    if record.samples is None:
        raise InvalidError(
            f"the record of {record.id!r} does not say what a sample is",
            where=f"record of {record.id}",
            fix="read it with to_xarray or to_pandas, or publish a version whose record has "
            "the field samples",
        )
    return record.samples
