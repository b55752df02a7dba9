"""RO-Crate 1.3: ``ro-crate-metadata.json`` in the version's folder, which makes it a crate.

A flat graph: every entity stands once, and others refer to it by its ``@id``.
"""

from collections.abc import Iterator
from urllib.parse import quote

from scidata.facts import Asset
from scidata.formats import media
from scidata.formats.linked import Node, dataset, known, person_or_organization, variables
from scidata.formats.subject import Subject, is_file
from scidata.formats.text import license_name, license_url
from scidata.manifest import MANIFEST
from scidata.record import Software, Step
from scidata.wording import amount

FILE = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.3"

MAX_LISTED = 100
"""Files of a folder that are entities of their own; the manifest lists any number."""

_ROOT = "./"


def document(subject: Subject) -> Node:
    """Return the whole metadata document."""
    root_id = subject.public_page or _ROOT
    graph: dict[str, Node] = {}
    descriptor = {
        "@type": "CreativeWork",
        "@id": FILE,
        "about": {"@id": root_id},
        "conformsTo": {"@id": CRATE},
        "sdDatePublished": subject.facts.created[:10],
    }
    root = {"@type": "Dataset", "@id": root_id, **_root(subject, root_id)}
    for node in (descriptor, root):
        _flatten(node, graph)
    return {"@context": f"{CRATE}/context", "@graph": list(graph.values())}


def _root(subject: Subject, root_id: str) -> Node:
    record = subject.record
    shared = dataset(subject, seen_from="")
    shared["author"] = shared.pop("creator")
    contact = {
        "@type": "ContactPoint",
        "@id": f"mailto:{record.contact.email}",
        "name": record.contact.name,
        "email": record.contact.email,
        "contactType": "maintainer",
    }
    return known(
        {
            **shared,
            "url": subject.public_page,
            "cite-as": subject.doi_url,
            "license": {
                "@type": "CreativeWork",
                "@id": license_url(record),
                "name": license_name(record),
                "description": f"The licence of the data: {license_name(record)}",
            },
            "contributor": [person_or_organization(who) for who in record.contributors],
            "contactPoint": contact,
            "publisher": shared["publisher"] | {"contactPoint": contact},
            "variableMeasured": variables(subject),
            "hasPart": [*_parts(subject), *shared.get("hasPart", [])],
            "mentions": [_action(subject, step, root_id) for step in record.provenance.steps],
        }
    )


def _parts(subject: Subject) -> Iterator[Node]:
    yield {
        "@type": "File",
        "@id": subject.at(subject.prefix + MANIFEST, seen_from=""),
        "name": MANIFEST,
        "description": "Every file with its sha256",
        "encodingFormat": media.TEXT,
        "contentSize": str(len(subject.manifest.text)),
        "sha256": subject.facts.manifest_digest.hex,
    }
    for asset in subject.facts.assets:
        yield _part(subject, asset)


def _part(subject: Subject, asset: Asset) -> Node:
    part: Node = {
        "@id": subject.asset(asset, seen_from=""),
        "name": asset.path,
        "encodingFormat": asset.media_type,
        "sdDatePublished": subject.facts.created[:10],
    }
    if is_file(subject.manifest, asset):
        fixed = {"contentSize": str(asset.bytes), "sha256": asset.sha256}
        return {"@type": "File", **part, **fixed, "description": f"The file {asset.key}"}
    held = f"{asset.files} files, {amount(asset.bytes)}"
    folder = {"@type": "Dataset", **part, "description": f"The folder {asset.key}: {held}"}
    if asset.files > MAX_LISTED:  # the manifest lists them
        return folder
    return folder | {
        "hasPart": [_file(subject, asset, path) for path in _below(subject, asset)]
    }


def _below(subject: Subject, asset: Asset) -> Iterator[str]:
    return (path for path in subject.manifest if path.startswith(f"{asset.path}/"))


def _file(subject: Subject, asset: Asset, path: str) -> Node:
    return {
        "@type": "File",
        "@id": subject.file(path, seen_from=""),
        "name": path,
        "description": f"A file of {asset.key}",
        "encodingFormat": media.media_type(path),
        "contentSize": str(subject.sizes[path]),
        "sha256": subject.manifest[path].hex,
        "sdDatePublished": subject.facts.created[:10],
    }


def _action(subject: Subject, step: Step, root_id: str) -> Node:
    """Return a step as an action whose result is the dataset."""
    tools = [
        _tool(software)
        for software in subject.record.provenance.software
        if step.software in (None, software.name)
    ]
    end = step.at and step.at.rpartition("/")[2]
    return known(
        {
            "@type": "CreateAction",
            "name": " ".join(step.activity.split()),
            "description": step.activity,
            "instrument": tools,
            "result": {"@id": root_id},
            "endTime": end,
        }
    )


def _tool(software: Software) -> Node:
    """Return a program; RO-Crate calls it one only if it has an address."""
    return known(
        {
            "@type": "SoftwareApplication" if software.url else "CreativeWork",
            "@id": software.url or f"#software-{quote(software.name, safe='')}",
            "name": software.name,
            "version": software.version,
            "url": software.url,
        }
    )


def _flatten(node: Node, graph: dict[str, Node]) -> Node:
    """Move a node into the graph, and what it holds; returns the reference to it."""
    if set(node) == {"@id"}:
        return node
    name = node.get("@id") or f"#{node['@type'].lower()}-{len(graph)}"
    entity = graph.setdefault(name, {"@id": name})
    for key, value in node.items():
        if key not in entity:  # what was said first stays
            entity[key] = _flat(value, graph)
    return {"@id": name}


def _flat(value: object, graph: dict[str, Node]) -> object:
    if isinstance(value, dict):
        return _flatten(value, graph)
    if not isinstance(value, list):
        return value
    several = [_flat(inner, graph) for inner in value]
    return several[0] if len(several) == 1 else several
