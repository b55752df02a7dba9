"""What the double of DataCite holds, and how it answers a request; no sockets here."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from scidata.testing.datacite_rules import (
    Attributes,
    Entry,
    Errors,
    merged,
    metadata_errors,
    model_errors,
    next_state,
    now,
    shown,
    suffix_of,
)

MEDIA_TYPE = "application/vnd.api+json"
REPOSITORY, SECRET, PREFIX = "SCIDATA.DOUBLE", "double-secret", "10.5072"
API_KEY = "DC.double-key"

Kind: TypeAlias = Literal[
    "status", "page", "truncated", "cut", "hang", "reset", "reset-after", "drip"
]


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    ``status``       answers with `status` and a page of HTML, before anything is done
    ``page``         does it, and answers 200 with a page of HTML
    ``truncated``    does it, and answers with half of the JSON as if it were all
    ``cut``          does it, and ends the connection within the answer
    ``hang``         never answers
    ``reset``        resets the connection before anything is done
    ``reset-after``  does it, then resets the connection
    ``drip``         does it, and answers a byte now and then
    """

    kind: Kind
    status: int = 503
    method: str = ""
    path: str = ""
    times: int = 1
    retry_after: str | None = None
    body: bytes = b"<html><body><h1>An error</h1></body></html>"


@dataclass
class Double:
    """What the double knows, and what it is to do wrong."""

    url: str = ""
    schema: Path | None = None
    """DataCite's XSD; without it the package ``datacite`` judges."""
    repositories: dict[str, tuple[str, tuple[str, ...]]] = field(
        default_factory=lambda: {
            REPOSITORY: (SECRET, (PREFIX,)),
            "SCIDATA.OTHER": ("other-secret", ("10.5073",)),
        }
    )
    """Password and prefixes of each repository."""
    keys: dict[str, str] = field(default_factory=lambda: {API_KEY: REPOSITORY})
    dois: dict[str, Entry] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Method and path of each."""
    minting: int = 0
    """How often a DOI must be asked for until it is registered with the handle server."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)

    def environment(self) -> dict[str, str]:
        """Return what a client needs in its environment."""
        return {
            "DATACITE_API": self.url,
            "DATACITE_REPOSITORY": REPOSITORY,
            "DATACITE_PASSWORD": SECRET,
            "DATACITE_PREFIX": PREFIX,
        }

    def due(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request meets."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method) and fault.path in path:
                    fault.times -= 1
                    return fault
        return None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer."""

    status: int
    document: Mapping[str, Any] | None = None  # Any: JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request: by whom, with which flags, and what it says."""

    client: str | None
    query: Mapping[str, list[str]]
    document: Any = None  # Any: JSON

    @property
    def attributes(self) -> Attributes | None:
        """What is to be set; None if the request says no data."""
        data = self.document.get("data") if isinstance(self.document, dict) else None
        if not isinstance(data, dict):
            return None
        given = data.get("attributes")
        return given if isinstance(given, dict) else {}

    def flag(self, name: str) -> bool:
        """Tell whether a flag such as ``publisher=true`` is set."""
        return self.query.get(name, [""])[-1] == "true"


def answer(double: Double, method: str, path: str, call: Call) -> Reply:
    """Decide what a request does and what is answered."""
    if known := _FIXED.get((method, path)):
        return known(double, call)
    if not path.startswith("/dois/"):
        return _missing()
    doi = unquote(path.removeprefix("/dois/")).lower()
    if method == "GET":
        return _read(double, doi, call)
    if method in {"PUT", "PATCH"}:
        return _change(double, doi, call, may_create=method == "PUT")
    return _delete(double, doi, call)


def problem(status: int, title: str, **headers: str) -> Reply:
    """Answer with one error."""
    document = {"errors": [{"status": str(status), "title": title}]}
    return Reply(status=status, document=document, headers=headers)


def _invalid(errors: Errors) -> Reply:
    return Reply(status=422, document={"errors": errors})


def bad_credentials() -> Reply:
    """Answer somebody who is not known."""
    return problem(401, "Bad credentials.")


def _forbidden() -> Reply:
    return problem(403, "You are not authorized to access this resource.")


def _missing() -> Reply:
    return problem(404, "The resource you are looking for doesn't exist.")


def _no_data() -> Reply:
    return problem(400, "You need to provide a payload following the JSONAPI spec")


def _random(_double: Double, call: Call) -> Reply:
    prefix = call.query.get("prefix", [PREFIX])[0]
    number = int(call.query.get("number", [str(random.randrange(2**30))])[0])  # noqa: S311
    return Reply(status=200, document={"dois": [f"{prefix}/{suffix_of(number)}"]})


def _read(double: Double, doi: str, call: Call) -> Reply:
    entry = double.dois.get(doi)
    if entry is None or (entry.state != "findable" and entry.client != call.client):
        return _missing()
    if entry.state != "draft" and entry.registered is None:
        entry.minting -= 1
        entry.registered = now() if entry.minting < 0 else None
    return _shown(200, entry, call)


def _shown(status: int, entry: Entry, call: Call, **headers: str) -> Reply:
    data = _resource(entry, call, full=True)
    return Reply(status=status, document={"data": data}, headers=headers)


def _resource(entry: Entry, call: Call, *, full: bool) -> Attributes:
    flags = {name: call.flag(name) for name in ("publisher", "affiliation")}
    return {
        "id": entry.doi,
        "type": "dois",
        "attributes": shown(entry, full=full, **flags),
        "relationships": {"client": {"data": {"id": entry.client.lower(), "type": "clients"}}},
    }


def _list(double: Double, call: Call) -> Reply:
    number = int(call.query.get("page[number]", ["1"])[0])
    size = int(call.query.get("page[size]", ["25"])[0])
    seen = [
        entry
        for _, entry in sorted(double.dois.items())
        if entry.state == "findable" or entry.client == call.client
    ]
    pages = -(-len(seen) // size) if size else 0
    links = {"self": f"{double.url}/dois"}
    if number < pages:
        following = f"page%5Bnumber%5D={number + 1}&page%5Bsize%5D={size}"
        links["next"] = f"{double.url}/dois?{following}"
    chosen = seen[(number - 1) * size : number * size]
    return Reply(
        status=200,
        document={
            "data": [_resource(entry, call, full=False) for entry in chosen],
            "meta": {"total": len(seen), "totalPages": pages, "page": number},
            "links": links,
        },
    )


def _validate(double: Double, call: Call) -> Reply:
    if call.client is None:
        return bad_credentials()
    given = call.attributes
    if given is None:
        return _no_data()
    doi = str(given.get("doi") or f"{PREFIX}/{suffix_of(1)}").lower()
    entry = Entry(doi=doi, client=call.client, attributes=merged({}, given))
    stated = {"url": "https://example.org", **entry.attributes}
    errors = model_errors(doi, entry.attributes) or metadata_errors(doi, stated, double.schema)
    document: Attributes = {"data": _resource(entry, call, full=True)}
    return Reply(status=200, document={"errors": errors} if errors else document)


def _create(double: Double, call: Call) -> Reply:
    if call.client is None:
        return bad_credentials()
    given = call.attributes
    if given is None:
        return _no_data()
    doi = str(given.get("doi") or "").lower()
    if not doi:
        number = random.randrange(2**30)  # noqa: S311 - no secret
        doi = f"{given.get('prefix') or PREFIX}/{suffix_of(number)}"
    if doi in double.dois:
        title = "This DOI has already been taken"
        return _invalid([{"source": "doi", "title": title, "uid": doi}])
    return _made(double, doi, given, call)


def _change(double: Double, doi: str, call: Call, *, may_create: bool) -> Reply:
    if call.client is None:
        return bad_credentials()
    given = call.attributes
    if given is None:
        return _no_data()
    entry = double.dois.get(doi)
    if entry is None:
        return _made(double, doi, given, call) if may_create else _missing()
    if entry.client != call.client:
        return _forbidden()
    return _saved(double, entry, given, call, status=200)


def _made(double: Double, doi: str, given: Attributes, call: Call) -> Reply:
    client = str(call.client)
    if doi.partition("/")[0] not in double.repositories[client][1]:
        return _forbidden()
    entry = Entry(doi=doi, client=client, attributes={}, created=now(), history=["draft"])
    return _saved(double, entry, given, call, status=201)


def _saved(
    double: Double, entry: Entry, given: Attributes, call: Call, *, status: int
) -> Reply:
    """Apply a request as a whole, or not at all."""
    attributes = merged(entry.attributes, given)
    state = next_state(entry.state, given.get("event"))
    errors = model_errors(entry.doi, attributes)
    if not errors and state != "draft":
        errors = metadata_errors(entry.doi, attributes, double.schema)
    if errors:
        return _invalid(errors)
    if entry.state == "draft" and state != "draft":
        entry.minting = double.minting
    if state != entry.state:
        entry.history.append(state)
    entry.attributes, entry.state = attributes, state
    entry.version, entry.updated = entry.version + 1, now()
    double.dois[entry.doi] = entry
    headers = {"Location": f"{double.url}/dois/{entry.doi}"} if status == 201 else {}  # noqa: PLR2004
    return _shown(status, entry, call, **headers)


def _delete(double: Double, doi: str, call: Call) -> Reply:
    if call.client is None:
        return bad_credentials()
    entry = double.dois.get(doi)
    if entry is None:
        return _missing()
    if entry.client != call.client:
        return _forbidden()
    if entry.state != "draft":
        return problem(405, "Method not allowed", Allow="HEAD, GET, POST, PATCH, PUT, OPTIONS")
    del double.dois[doi]
    return Reply(status=204)


_FIXED: Mapping[tuple[str, str], Callable[[Double, Call], Reply]] = {
    ("GET", "/dois/random"): _random,
    ("POST", "/dois/validate"): _validate,
    ("GET", "/dois"): _list,
    ("POST", "/dois"): _create,
}
