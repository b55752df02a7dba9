"""What became known of a version, in STAC: an item beside its own, which never changes.

The item in a version is immutable, so it cannot say that the version was withdrawn, or was
given a DOI. For a version that has a status, or a DOI that can be found, there is a second one
in the dataset's folder, ``item-1.0.0.json``: a cache like the collection, which links to it
instead. It says the same, with ``deprecated`` (extension Version 1.2), the state and reason,
and a link to the successor; and with ``sci:doi`` (extension Scientific 1.0).
"""

import json
import posixpath
from typing import Any, TypeAlias

from scidata.errors import InvalidError
from scidata.facts import Facts
from scidata.formats.subject import doi_url
from scidata.status import Status

Document: TypeAlias = dict[str, Any]  # Any: JSON at the edge

_GEOJSON = "application/geo+json"


def is_offered(status: Status | None) -> bool:
    """Tell whether a version may be called the newest."""
    return status is None or status.state in {"active", "deprecated"}


def item_path(version: str, status: Status | None, doi: str | None = None) -> str:
    """Return where a version's item is, below the dataset's folder."""
    own = status is None and doi is None
    return f"v{version}/meta/item.json" if own else f"item-{version}.json"


def fields(status: Status) -> Document:
    """Return what an item, a link to it or a collection says of a status."""
    became: Document = {
        "deprecated": status.state != "active",
        "scidata:state": status.state,
        "scidata:reason": status.reason,
    }
    return became | ({"scidata:replaced_by": status.replaced_by} if status.replaced_by else {})


def later_item(
    item: bytes, facts: Facts, status: Status | None, doi: str | None = None
) -> Document:
    """Return the item of a version that has a status or a DOI, for the dataset's folder.

    Parameters
    ----------
    item : bytes
        The version's own, as it was committed.
    facts : Facts
        Of the version.
    doi : str, optional
        Of the version, bare, where it can be found.

    Raises
    ------
    InvalidError
        If that is no item.
    """
    try:
        document = json.loads(item)
        assets = {
            key: {**asset, "href": _moved(asset["href"], facts.version)}
            for key, asset in document["assets"].items()
            if not (status and status.state == "purged") or _outlives(key)
        }
        links = [
            {**link, "href": _moved(link["href"], facts.version)}
            for link in document["links"]
            if link["rel"] != "cite-as" or doi is None
        ]
        properties = {
            **document["properties"],
            **_cited(document["properties"], doi),
            **({**fields(status), "updated": status.date} if status else {}),
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidError(
            "the version's STAC item is none",
            where=f"{facts.dataset}/v{facts.version}/meta/item.json",
            fix="report it to whoever published the version",
        ) from error
    links.append(_link("canonical", f"./v{facts.version}/meta/item.json", facts.version))
    if status and status.replaced_by:
        links.append(_successor(status))
    if doi is not None:
        links.append(cite_as(doi))
    return {**document, "assets": assets, "links": links, "properties": properties}


def cite_as(doi: str) -> Document:
    """Return the link that STAC asks for beside ``sci:doi``."""
    return {"rel": "cite-as", "href": doi_url(doi), "type": "text/html"}


def _outlives(key: str) -> bool:
    """Tell whether an asset is still there when the data were purged."""
    return key == "manifest" or key.startswith("meta-")


def _cited(properties: Document, doi: str | None) -> Document:
    if doi is None or properties.get("sci:doi") == doi:
        return {}
    return {"sci:doi": doi, "sci:citation": f"{properties['sci:citation']}. {doi_url(doi)}"}


def _successor(status: Status) -> Document:
    dataset, _, version = str(status.replaced_by).partition("@")
    folder = "." if dataset == status.dataset else f"../{dataset}"
    return _link("successor-version", f"{folder}/v{version}/meta/item.json", version)


def _link(rel: str, href: str, title: str) -> Document:
    return {"rel": rel, "href": href, "type": _GEOJSON, "title": title}


def _moved(href: str, version: str) -> str:
    """Rewrite an address that is relative to ``v1.0.0/meta`` for the dataset's folder."""
    if "://" in href:
        return href
    path = posixpath.normpath(posixpath.join(f"v{version}/meta", href))
    return path if path.startswith("../") else f"./{path}"
