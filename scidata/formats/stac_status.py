"""What became of a version, in STAC: an item beside the version's own, which never changes.

The item in a version is immutable, so it cannot say that the version was withdrawn. For a
version that has a status there is a second one in the dataset's folder, ``item-1.0.0.json``: a
cache like the collection, which links to it instead. It says the same, with ``deprecated``
(extension Version 1.2), the state and reason, and a link to the successor.
"""

import json
import posixpath
from typing import Any, TypeAlias

from scidata.errors import InvalidError
from scidata.status import Status

Document: TypeAlias = dict[str, Any]  # Any: JSON at the edge

_GEOJSON = "application/geo+json"


def is_offered(status: Status | None) -> bool:
    """Tell whether a version may be called the newest."""
    return status is None or status.state in {"active", "deprecated"}


def item_path(version: str, status: Status | None) -> str:
    """Return where a version's item is, below the dataset's folder."""
    return f"v{version}/meta/item.json" if status is None else f"item-{version}.json"


def fields(status: Status) -> Document:
    """Return what an item, a link to it or a collection says of a status."""
    became: Document = {
        "deprecated": status.state != "active",
        "scidata:state": status.state,
        "scidata:reason": status.reason,
    }
    return became | ({"scidata:replaced_by": status.replaced_by} if status.replaced_by else {})


def item_with_status(item: bytes, status: Status) -> Document:
    """Return the item of a version that has a status, for the dataset's folder.

    Parameters
    ----------
    item : bytes
        The version's own, as it was committed.

    Raises
    ------
    InvalidError
        If that is no item.
    """
    try:
        document = json.loads(item)
        assets = {
            key: {**asset, "href": _moved(asset["href"], status.version)}
            for key, asset in document["assets"].items()
            if status.state != "purged" or key == "manifest" or key.startswith("meta-")
        }
        links = [
            {**link, "href": _moved(link["href"], status.version)} for link in document["links"]
        ]
        properties = {**document["properties"], **fields(status), "updated": status.date}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidError(
            "the version's STAC item is none",
            where=f"{status.dataset}/v{status.version}/meta/item.json",
            fix="report it to whoever published the version",
        ) from error
    links.append(_link("canonical", f"./v{status.version}/meta/item.json", status.version))
    if status.replaced_by:
        links.append(_successor(status))
    return {**document, "assets": assets, "links": links, "properties": properties}


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
