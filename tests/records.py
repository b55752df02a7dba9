"""Records and facts for tests of outward forms: one with every field, one that is bare."""

from typing import Any

import yaml

from scidata.digest import Digest
from scidata.facts import Asset, Facts, Variable
from scidata.formats import Subject
from scidata.manifest import Manifest
from scidata.record import Record, parse_record
from tests.samples import record_fields

CREATED = "2026-01-02T03:04:05Z"
DIGEST = "0123456789abcdef" * 4


def record_of(fields: dict[str, Any]) -> Record:  # Any: YAML at the edge
    """Parse fields as a record file would be."""
    return parse_record(yaml.safe_dump(fields).encode(), where="record.yaml")


def bare_record() -> Record:
    """A record with what is mandatory and nothing else."""
    wanted = ("id", "title", "abstract", "creators", "contact", "publisher", "license")
    fields = {name: record_fields()[name] for name in (*wanted, "access", "keywords")}
    return record_of(fields)


def full_record(**changes: Any) -> Record:  # Any: YAML at the edge
    """A record with every field, in words that some form might not survive."""
    fields = {
        **record_fields(),
        "title": 'Waves & "swell": ein Maß, größer | kleiner',
        "abstract": "Line one of an abstract, long enough for search engines.\nLine two: <b>.",
        "methods": "Computed.\n\nBag-Software-Agent: nobody",
        "contributors": [{"name": "Wave Group", "ror": "01ggx4157", "role": "DataCollector"}],
        "license": {"name": "Terms of the waves", "url": "https://example.org/terms"},
        "subjects": [
            {"term": "sea_surface_height", "scheme": "CF", "uri": "https://example.org/ssh"}
        ],
        "spatial": {"west": 170.0, "east": -170.0, "south": -20.5, "north": 10.0},
        "temporal": {"start": "1950-01", "end": "2026"},
        "created": "2025-12-31",
        "relations": [
            {"type": "IsDescribedBy", "id": "10.1234/paper", "kind": "JournalArticle"},
            {"type": "IsDerivedFrom", "id": "https://example.org/raw", "kind": "Dataset"},
        ],
        "funding": [{"funder": "A Fund", "ror": "01ggx4157", "number": "7", "title": "Waves"}],
        "provenance": {
            "sources": [
                {"title": "Raw waves", "doi": "10.1234/raw", "license": "CC0-1.0"},
                {"title": "A tide gauge", "url": "https://example.org/tides"},
            ],
            "instrument": "A buoy",
            "software": [{"name": "scidata", "version": "0.1.0"}, {"name": "by hand"}],
            "steps": [{"activity": "Compute sine waves"}, {"activity": "Write them"}],
        },
        "limitations": [{"description": "No waves in winter.", "start": "2000", "end": "2001"}],
        "samples": {
            "asset": "array",
            "each": ["sample"],
            "windows": [{"dimension": "time", "size": 8}],
            "inputs": ["wave"],
            "targets": ["wave"],
        },
        "conforms_to": ["https://cfconventions.org"],
        **changes,
    }
    return record_of(fields)


def facts_of(record: Record, version: str = "1.0.0", parent: str | None = None) -> Facts:
    """Facts with an asset of every kind."""
    wave = Variable(name="wave", dtype="float32", dims=("time", "x"), shape=(9, 2), units="m")
    time = Variable(
        name="time",
        dtype="int64",
        dims=("time",),
        shape=(9,),
        units="days since 1950-01-01",
        coordinate=True,
    )
    depth = Variable(name="depth", dtype="double", dims=("row",), shape=(5,), units="km")
    assets = (
        _asset("array", "zarr", "data/array.zarr", "application/vnd.zarr", 7, wave, time),
        _asset("notes", "file", "data/notes.txt", "text/plain", 1),
        _asset("scenes", "file", "data/scenes", "application/x-hdf5", 3),
        _asset("splits", "splits", "data/splits", "text/plain", 2),
        _asset("table", "parquet", "data/table.parquet", _PARQUET, 1, depth),
    )
    return Facts(
        dataset=record.id,
        version=version,
        digest=f"sha256:{DIGEST}",
        files=sum(a.files for a in assets),
        bytes=sum(a.bytes for a in assets),
        created=CREATED,
        assets=assets,
        parent=parent,
    )


_PARQUET = "application/vnd.apache.parquet"


def _asset(
    key: str, kind: Any, path: str, media_type: str, files: int, *variables: Variable
) -> Asset:  # Any: a literal
    return Asset(
        key=key,
        kind=kind,
        path=path,
        media_type=media_type,
        files=files,
        bytes=1000 * files,
        sha256=DIGEST[::-1],
        variables=variables,
        consolidated=True,
    )


def subject_of(record: Record, **changes: Any) -> Subject:  # Any: fields of a subject
    """A version with an asset of every kind, two of them single files."""
    facts = facts_of(record)
    digest = Digest(DIGEST[::-1])
    files = ["data/notes.txt", "data/table.parquet", "data/splits/place/train.txt"]
    files += [f"data/scenes/{n}.hdf" for n in range(3)]
    manifest = Manifest(dict.fromkeys(files, digest))
    facts = facts.model_copy(update={"digest": str(manifest.digest)})
    sizes = dict.fromkeys(files, 1000)
    fields = {"record": record, "facts": facts, "manifest": manifest, "sizes": sizes}
    return Subject(**{**fields, **changes})


HOSTILE = (
    "</script><script>alert('x')</script> <!-- ]]> \u05d0\u05d1\u05d2 \u202egnp.\u202c "
    "\\ {a}_b^c $x$ 50 % & # ~ \" ' ` @misc{x, y = {z}} and others: - ? ! | > \N{SNOWMAN}"
)
"""Text that means something to HTML, JSON, YAML, TeX or a terminal, and right-to-left text."""


def hostile_record(creators: int = 2) -> Record:
    """A record whose texts are all hostile, with any number of creators."""
    most = 80 if creators < 1000 else 20  # a record has at most 1 MiB
    people = [
        {"given": f"{HOSTILE[:most]} {n}", "family": f"and O'{HOSTILE[5:most]}, {n}"}
        for n in range(creators - 1)
    ]
    return full_record(
        title=HOSTILE,
        abstract=f"{HOSTILE}\n\n- {HOSTILE}",
        methods=HOSTILE,
        creators=[*people, {"name": f"{HOSTILE[:100]} and Sons, Ltd."}],
        contributors=[{"name": HOSTILE[:150], "role": "DataCollector"}],
        contact={"name": HOSTILE[:150], "email": "a@example.org"},
        publisher={"name": HOSTILE[:150]},
        license={"name": HOSTILE, "url": "https://example.org/terms?a=b&c='d'"},
        keywords=[word for word in HOSTILE.split() if "," not in word][:9],
        subjects=[{"term": HOSTILE, "scheme": HOSTILE, "uri": "https://example.org/a&b"}],
        synthetic_note=HOSTILE,
        funding=[{"funder": HOSTILE[:150], "number": HOSTILE, "title": HOSTILE}],
        limitations=[{"description": HOSTILE}],
        relations=[
            {"type": "Cites", "id": "10.1234/<a>{b}\\c", "kind": "Text", "note": HOSTILE}
        ],
        provenance={
            "sources": [{"title": HOSTILE, "license": HOSTILE}],
            "instrument": HOSTILE,
            "software": [{"name": HOSTILE[:150], "version": HOSTILE}],
            "steps": [{"activity": HOSTILE}],
        },
        splits=[
            {
                "name": "place",
                "default": True,
                "dimension": "x",
                "unit": HOSTILE,
                "rule": HOSTILE,
                "leaks": HOSTILE,
                "parts": [{"name": "train", "description": HOSTILE}],
            }
        ],
        variables=[{"name": "wave", "description": HOSTILE, "units": HOSTILE}],
    )
