"""Croissant 1.1 with its vocabulary for responsible AI 1.0: files, record sets, splits.

Tables are described so that mlcroissant reads them; arrays so that a person does: its readers
know no Zarr, HDF5 or NetCDF. Their names, types, units, dimensions and shapes are the records
of the record set ``variables``.
"""

from collections.abc import Iterator
from urllib.parse import quote

from scidata.facts import Asset, Variable
from scidata.formats import bibtex, media
from scidata.formats.linked import Node, dataset, known, standard_name_url
from scidata.formats.stac_cube import describe
from scidata.formats.subject import Subject, is_file
from scidata.manifest import MANIFEST
from scidata.record import Limitation, Record
from scidata.split import split_path

CONFORMS_TO = [
    "http://mlcommons.org/croissant/1.1",
    "http://mlcommons.org/croissant/RAI/1.0",
]

_CONTEXT: Node = {
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_LEFT_OUT = {"alternateName", "conditionsOfAccess", "creditText", "about", "subjectOf"}
_TYPES = {
    **{f"int{bits}": f"cr:Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"cr:UInt{bits}" for bits in (8, 16, 32, 64)},
    "float16": "cr:Float16",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
    "halffloat": "cr:Float16",
    "float": "cr:Float32",
    "double": "cr:Float64",
    "bool": "sc:Boolean",
}
_SPLITS = {
    "train": "cr:TrainingSplit",
    "training": "cr:TrainingSplit",
    "validation": "cr:ValidationSplit",
    "test": "cr:TestSplit",
}
_DIGITS = r"^([0-9a-f]{64})  .*$"
_PATH = r"^[0-9a-f]{64}  (.*)$"


def document(subject: Subject) -> Node:
    """Return the JSON-LD; its context is written out, so that no network is asked for it."""
    record = subject.record
    shared = {k: v for k, v in dataset(subject).items() if k not in _LEFT_OUT}
    return known(
        {
            "@context": {"@language": record.language, **_CONTEXT},
            "@type": "sc:Dataset",
            "@id": subject.iri(),
            **shared,
            "conformsTo": CONFORMS_TO,
            "citeAs": bibtex.entry(subject).decode(),
            "isLiveDataset": False,
            "distribution": list(_distribution(subject)),
            "recordSet": list(_record_sets(subject)),
            **_responsible(record),
        }
    )


def _distribution(subject: Subject) -> Iterator[Node]:
    manifest_digest = subject.facts.manifest_digest.hex
    at = subject.at(subject.prefix + MANIFEST)
    size = len(subject.manifest.text)
    words = "Every file with its sha256"
    yield _file(MANIFEST, at, media.TEXT, size, manifest_digest, description=words)
    for asset in subject.facts.assets:
        if is_file(subject.manifest, asset):
            kind = _encoding(asset)
            yield _file(asset.path, subject.asset(asset), kind, asset.bytes, asset.sha256)
        elif asset.kind != "splits":
            yield _file_set(subject, asset)
    for split in subject.record.splits:
        for part in split.parts:
            path = split_path(split.name, part.name)
            if path in subject.manifest:
                yield _file(
                    path,
                    subject.file(path),
                    media.TEXT,
                    subject.sizes[path],
                    subject.manifest[path].hex,
                    description=f"Ids of {split.name}/{part.name}, one a line",
                )


def _file(
    path: str,
    address: str,
    kind: str,
    size: int,
    sha256: str,
    *,
    description: str | None = None,
) -> Node:
    return known(
        {
            "@type": "cr:FileObject",
            "@id": _id(path),
            "name": path,
            "description": description,
            "contentUrl": address,
            "encodingFormat": kind,
            "contentSize": f"{size} B",
            "sha256": sha256,
        }
    )


def _file_set(subject: Subject, asset: Asset) -> Node:
    """Describe a folder: a store of arrays, or files of one sort."""
    return {
        "@type": "cr:FileSet",
        "@id": _id(asset.path),
        "name": asset.path,
        "description": f"{asset.files} files, {asset.bytes} bytes, in {subject.asset(asset)}; "
        f"the sha256 of their lines in the manifest is {asset.sha256}",
        "encodingFormat": _encoding(asset),
        "includes": f"{asset.path}/**",
    }


def _encoding(asset: Asset) -> str:
    # Croissant's readers know Parquet by this older name only.
    return "application/x-parquet" if asset.media_type == media.PARQUET else asset.media_type


def _record_sets(subject: Subject) -> Iterator[Node]:
    yield _manifest_records()
    for asset in subject.facts.assets:
        if asset.kind == "parquet" and asset.variables and is_file(subject.manifest, asset):
            yield _table(subject, asset)
    yield from _split_records(subject)
    if described := list(_described(subject)):
        columns = dict.fromkeys(described[0], "sc:Text")
        yield _inline("variables", "Every array and column of the version", columns, described)


def _manifest_records() -> Node:
    fields = [
        _field("manifest/path", "Path in the version", "sc:Text", _line(MANIFEST, _PATH)),
        _field("manifest/sha256", "Of the file's bytes", "sc:Text", _line(MANIFEST, _DIGITS)),
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "manifest",
        "name": "manifest",
        "description": "Every file of the version",
        "key": {"@id": "manifest/path"},
        "field": fields,
    }


def _table(subject: Subject, asset: Asset) -> Node:
    return {
        "@type": "cr:RecordSet",
        "@id": f"table/{asset.key}",
        "name": asset.key,
        "description": f"The rows of {asset.path}",
        "field": [_column(subject.record, asset, variable) for variable in asset.variables],
    }


def _column(record: Record, asset: Asset, variable: Variable) -> Node:
    description, unit = describe(record, asset, variable)
    words = ", in ".join(filter(None, (description, unit)))
    source: Node = {
        "fileObject": {"@id": _id(asset.path)},
        "extract": {"column": variable.name},
    }
    field_id = f"table/{asset.key}/{_id(variable.name)}"
    found = _field(field_id, words, _data_type(variable.dtype), source)
    same = standard_name_url(record, asset, variable)
    return known({**found, "name": variable.name, "equivalentProperty": same})


def _split_records(subject: Subject) -> Iterator[Node]:
    parts: list[Node] = []
    for split in subject.record.splits:
        for part in split.parts:
            path = split_path(split.name, part.name)
            if path not in subject.manifest:
                continue
            name = f"{split.name}/{part.name}"
            parts.append(
                {
                    "name": name,
                    "url": _SPLITS.get(part.name, "cr:Split"),
                    "description": part.description,
                    "rule": split.rule,
                    "default": str(split.default).lower(),
                }
            )
            yield {
                "@type": "cr:RecordSet",
                "@id": f"split/{name}",
                "name": f"split/{name}",
                "description": part.description,
                "field": [
                    _field(f"split/{name}/id", f"Id of {split.unit}", "sc:Text", _line(path))
                ],
            }
    if parts:
        columns = dict.fromkeys(parts[0], "sc:Text") | {"url": "sc:URL"}
        whole = _inline("splits", "How the samples are divided", columns, parts)
        yield {**whole, "dataType": "cr:Split", "key": {"@id": "splits/name"}}


def _line(path: str, regex: str | None = None) -> Node:
    source: Node = {
        "fileObject": {"@id": _id(path)},
        "extract": {"fileProperty": "lines"},
    }
    return source | ({"transform": {"regex": regex}} if regex else {})


def _described(subject: Subject) -> Iterator[Node]:
    for asset in subject.facts.assets:
        for variable in asset.variables:
            description, unit = describe(subject.record, asset, variable)
            yield {
                "name": variable.name,
                "asset": asset.key,
                "description": description or "",
                "dtype": _data_type(variable.dtype),
                "unit": unit or "",
                "dims": ",".join(variable.dims),
                "shape": ",".join(map(str, variable.shape)),
            }


def _inline(name: str, text: str, columns: Node, rows: list[Node]) -> Node:
    """Return a record set whose records stand in the document."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": text,
        "field": [_field(f"{name}/{column}", "", kind) for column, kind in columns.items()],
        "data": [{f"{name}/{column}": value for column, value in row.items()} for row in rows],
    }


def _field(name: str, description: str, kind: str, source: Node | None = None) -> Node:
    return known(
        {
            "@type": "cr:Field",
            "@id": name,
            "name": name,
            "description": description,
            "dataType": kind,
            "source": source,
        }
    )


def _data_type(dtype: str) -> str:
    if dtype.startswith(("timestamp", "datetime64", "date")):
        return "sc:DateTime"
    return _TYPES.get(dtype, "sc:Text")


def _responsible(record: Record) -> Node:
    """Return what the record says of responsible use, in the names that RAI 1.0 gives."""
    provenance = record.provenance
    limits = [_limitation(known_limit) for known_limit in record.limitations]
    if record.synthetic_note:
        limits.append(f"Synthetic data. {record.synthetic_note}")
    if record.real_note:
        limits.append(f"Real data. {record.real_note}")
    # RAI 1.0 puts uses that are not recommended here, too.
    limits += [f"Not to be used for this. {text}" for text in record.out_of_scope]
    leaks = [f"Split {s.name}: {s.leaks}" for s in record.splits if s.leaks]
    raw = "\n".join(source.citation or source.title for source in provenance.sources)
    steps = "\n".join(step.activity for step in provenance.steps)
    return {
        "rai:dataCollection": record.methods,
        "rai:dataCollectionRawData": raw,
        "rai:dataManipulationProtocol": steps,
        "rai:dataLimitations": limits + leaks,
        "prov:wasGeneratedBy": _activity(record),
    }


def _activity(record: Record) -> Node | None:
    provenance = record.provenance
    tools = [" ".join(filter(None, (s.name, s.version))) for s in provenance.software]
    if provenance.instrument:
        tools.insert(0, provenance.instrument)
    if not tools:
        return None
    agents = [{"@type": "prov:SoftwareAgent", "sc:description": tool} for tool in tools]
    return {"@type": "prov:Activity", "prov:wasAssociatedWith": agents}


def _limitation(limit: Limitation) -> str:
    if limit.start is None and limit.end is None:
        return limit.description
    return f"{limit.description} ({limit.start or '..'}/{limit.end or '..'})"


def _id(path: str) -> str:
    """Write a path or a column's name as a relative IRI."""
    return quote(path, safe="/")
