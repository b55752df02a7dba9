"""How to open, fetch and check a version, as text to copy. Pure.

What stands in quotes is written by `repr` or `shlex`: names out of a store can end no string.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from scidata.formats import Subject, catalog_of
from scidata.formats.subject import is_file
from scidata.manifest import MANIFEST
from scidata.storage.base import Store


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """One way to use a version."""

    name: str
    language: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A store as the AWS CLI reaches it."""

    url: str
    """``s3://bucket/prefix``."""
    options: tuple[str, ...] = ()


def snippets(subject: Subject, bucket: Bucket | None = None) -> Iterator[Snippet]:
    """Yield the ways that this version allows; of a bucket, if it holds the version whole."""
    facts = subject.facts
    home = subject.base_url or ""
    yield Snippet(name="Intake", language="python", code=_intake(subject))
    if (array := _xarray(subject)) is not None:
        yield Snippet(name="xarray", language="python", code=array)
    elif (table := _pandas(subject)) is not None:
        yield Snippet(name="pandas", language="python", code=table)
    if subject.record.samples is not None:
        yield Snippet(name="PyTorch", language="python", code=_torch(subject, home))
    yield Snippet(name="Fetch", language="sh", code=_fetch(subject, home))
    if bucket is not None and not (subject.placed.since or subject.placed.sources):
        place = f"{bucket.url}/{facts.dataset}/v{facts.version}/"
        words = ["aws", "s3", "sync", place, f"{facts.dataset}-{facts.version}/"]
        yield Snippet(name="aws s3", language="sh", code=shlex.join([*words, *bucket.options]))
    yield Snippet(name="Verify", language="sh", code=_verify(subject))


def bucket_of(store: Store, data_url: str) -> Bucket | None:
    """Return the bucket that a store is, as its readers reach it; None if it is none.

    A server inside a house, which is not reached by https, is told to nobody.
    """
    parts = urlsplit(data_url)
    name, dot, rest = (parts.hostname or "").partition(".s3.")
    if dot and rest.endswith("amazonaws.com"):
        return Bucket(url=f"s3://{name}{parts.path}", options=("--no-sign-request",))
    if not store.url.startswith("s3://"):
        return None
    endpoint = store.address.removeprefix(store.url).removeprefix(" at ")
    if endpoint and not endpoint.startswith("https://"):
        return None
    options = ["--endpoint-url", endpoint] if endpoint else []
    options += [] if store.writable else ["--no-sign-request"]
    return Bucket(url=store.url.rstrip("/"), options=tuple(options))


def _intake(subject: Subject) -> str:
    catalog = subject.at(catalog_of(subject.facts.version), seen_from="")
    return f"import intake\n\ncatalog = intake.open_catalog({catalog!r})\nprint(list(catalog))"


def _xarray(subject: Subject) -> str | None:
    stores = [asset for asset in subject.facts.assets if asset.kind == "zarr"]
    if not stores:
        return None
    best = max(stores, key=lambda asset: asset.bytes)
    url = subject.asset(best, seen_from="").rstrip("/")
    more = "" if best.consolidated else ", consolidated=False"
    return f"import xarray\n\n{_name(best.key)} = xarray.open_zarr(\n    {url!r}{more}\n)"


def _pandas(subject: Subject) -> str | None:
    tables = [
        asset
        for asset in subject.facts.assets
        if asset.kind == "parquet" and is_file(subject.manifest, asset)
    ]
    if not tables:
        return None
    best = max(tables, key=lambda asset: asset.bytes)
    url = subject.asset(best, seen_from="")
    return f"import pandas\n\n{_name(best.key)} = pandas.read_parquet(\n    {url!r}\n)"


def _torch(subject: Subject, home: str) -> str:
    split = next((rule for rule in subject.record.splits if rule.default), None)
    part = f"split={split.parts[0].name!r}, " if split else ""
    return (
        "import scidata\n\n"
        f"data = scidata.open({subject.facts.name!r}, store={home!r})\n"
        f"for batch in data.stream({part}batch_size=256, shuffle=True, seed=1):\n"
        "    ...  # a dict of tensors"
    )


def _fetch(subject: Subject, store: str) -> str:
    facts = subject.facts
    return (
        'pip install "fair-scidata"\n'
        f"scidata pull {facts.name} --store {shlex.quote(store)} "
        f"--out {facts.dataset}-{facts.version}"
    )


def _verify(subject: Subject) -> str:
    facts = subject.facts
    return (
        f"cd {facts.dataset}-{facts.version}\n"
        f'echo "{facts.manifest_digest.hex}  {MANIFEST}" | sha256sum -c\n'
        f"sha256sum --quiet -c {MANIFEST}"
    )


def _name(key: str) -> str:
    name = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in key)
    return name if name.isidentifier() else "data"
