"""What a catalog may say, so that opening it and reading its entries never runs its code.

Intake takes a catalog at its word: ``{func(os:system)}`` is imported and called, a class is any
name that can be imported, ``{env(SECRET)}`` becomes part of an address, ``cls`` picks the type
of an object. So this is a list of what is admitted, not of what is forbidden: a few readers,
each with a few plain settings; everything else is a problem. Pure.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from scidata.errors import Problem
from scidata.formats import intake_entries as forms
from scidata.storage.addresses import split_url
from scidata.storage.hosts import Reach, reach_of

MAX_ENTRIES = 20_000

Check = Callable[[object], bool]

_SCHEMES = ("s3://", "https://", "http://")
_DATA_NAME = re.compile(r"\{data\(([^(){}]+)\)\}")
# Intake replaces text that begins so by what the named entry reads, wherever it stands.
_REFERENCE = re.compile(r"\{?data\(")
_ENTRY_KEYS = {"reader", "kwargs", "metadata", "user_parameters", "output_instance"}
_DATA_KEYS = {"datatype", "kwargs", "metadata", "user_parameters"}
_FIX = "open only catalogs that scidata wrote, or read this one with intake if you trust it"


def _is(*choices: object) -> Check:
    return lambda value: any(
        value is c or (value == c and type(value) is type(c)) for c in choices
    )


def _text(value: object) -> bool:
    return isinstance(value, str) and "{" not in value and not _REFERENCE.match(value)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _group(value: object) -> bool:
    return isinstance(value, str) and forms.GROUP.fullmatch(value) is not None


def _switch(value: object) -> bool:
    return isinstance(value, bool)


def _server(value: object) -> bool:
    plain = _text(value) and str(value).startswith(("https://", "http://"))
    return plain and _unseen(str(value)) is None and "@" not in str(value)


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    """Settings of one reader or data type."""

    settings: Mapping[str, Check] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()


def _reader(*forms_: forms.Reading, required: str = "", **settings: Check) -> _Allowed:
    returns = frozenset(form.returns for form in forms_)
    return _Allowed(settings=settings, required=frozenset(required.split()), returns=returns)


_READERS: Mapping[str, _Allowed] = {
    forms.ZARR.reader: _reader(
        forms.ZARR,
        required="engine",
        engine=_is("zarr", "h5netcdf"),
        zarr_format=_is(3),
        consolidated=_switch,
        phony_dims=_is("sort", "access"),
        group=_group,
    ),
    forms.PARQUET.reader: _reader(forms.PARQUET),
    forms.CSV.reader: _reader(
        forms.CSV,
        header=_is(None, 0),
        names=_texts,
        dtype=_is("str"),
        keep_default_na=_switch,
        sep=_is(",", "\t", ";"),
    ),
    forms.TEXT.reader: _reader(forms.TEXT),
    forms.BYTES.reader: _reader(forms.BYTES),
    # Another mode would empty the files it opens.
    forms.FILES.reader: _reader(
        forms.FILES, required="mode", mode=_is("rb"), anon=_switch, endpoint_url=_server
    ),
    forms.CATALOG.reader: _reader(forms.CATALOG),
    forms.STREAM_READER: _reader(
        forms.STREAM,
        required="reference digest split",
        reference=_text,
        digest=_text,
        split=_text,
    ),
}
_DATATYPES: Mapping[str, Mapping[str, Check]] = {
    forms.ZARR.datatype: {"root": _is("")},
    forms.HDF5.datatype: {"path": _is("")},
    forms.PARQUET.datatype: {},
    forms.CSV.datatype: {},
    forms.TEXT.datatype: {},
    forms.BYTES.datatype: {},
    forms.CATALOG.datatype: {},
}
_REFERENCE_OPTIONS: Mapping[str, Check] = {
    "fo": lambda value: isinstance(value, str),
    "target_options": _is(forms.STORAGE_OPTIONS),
    "remote_protocol": _is("s3", "https", "http", "file"),
    "remote_options": lambda value: isinstance(value, dict),
    "asynchronous": _is(True),
}
_STORAGE: Mapping[str, Check] = {"anon": _switch, "endpoint_url": _server}


def catalog_problems(document: object, *, reach: Reach = Reach.LOOPBACK) -> Iterator[Problem]:
    """Yield everything in a parsed catalog that scidata does not admit.

    `reach` is where the catalog came from: it names no server further inside a network.
    """
    if not isinstance(document, dict) or document.get("version") != 2:  # noqa: PLR2004 the format
        yield _problem("version", "is not that of an Intake v2 catalog")
        return
    parts = {name: document.get(name) for name in ("data", "entries", "aliases", "metadata")}
    shapeless = [n for n, p in parts.items() if not isinstance(p, dict) or len(p) > MAX_ENTRIES]
    for name in shapeless:
        yield _problem(name, f"is not a mapping of at most {MAX_ENTRIES} entries")
    if document.get("user_parameters") != {}:
        yield _problem("user_parameters", "holds parameters, which could change what is read")
    if not shapeless:
        yield from _part_problems(document["data"], document["entries"], document["aliases"])
        for part in ("data", "entries"):
            for name, item in document[part].items():
                yield from _host_problems(f"{part}.{name}.kwargs", item, reach)


def folder_problems(document: Mapping[str, object]) -> Iterator[Problem]:
    """Yield what a checked catalog on a server may not say: that data lie in a folder."""
    data = document["data"]
    for name, item in data.items() if isinstance(data, dict) else ():
        kwargs = item["kwargs"] if isinstance(item, dict) else {}
        options = kwargs.get("storage_options")
        if isinstance(options, dict) and options.get("remote_protocol") == "file":
            yield _problem(f"data.{name}", "would read files of whoever opens the catalog")


def _part_problems(
    data: Mapping[str, object], entries: Mapping[str, object], aliases: Mapping[str, object]
) -> Iterator[Problem]:
    for name, item in data.items():
        yield from _data_problems(f"data.{name}", item)
    for name, entry in entries.items():
        yield from _entry_problems(f"entries.{name}", entry, data)
    names = {*entries, *data}
    for name, target in aliases.items():
        if not isinstance(target, str) or target not in names:
            yield _problem(f"aliases.{name}", f"points to {target!r}, which is not there")
        elif name in names and name != target:
            yield _problem(f"aliases.{name}", "hides another entry of that name")


def _host_problems(path: str, item: object, reach: Reach) -> Iterator[Problem]:
    kwargs = item.get("kwargs") if isinstance(item, dict) else None
    if not isinstance(kwargs, dict):
        return  # said elsewhere
    options = kwargs.get("storage_options")
    inner = options.get("endpoint_url") if isinstance(options, dict) else None
    remote = options.get("remote_options") if isinstance(options, dict) else None
    beyond = remote.get("endpoint_url") if isinstance(remote, dict) else None
    for place in (kwargs, options, remote):
        # Signed requests show their server a key's name and, with roles, its token.
        if not isinstance(place, dict) or "endpoint_url" not in place:
            continue
        if place.get("anon") is not True:
            yield _problem(path, "names an endpoint without anon: true")
    for name, value in (
        ("url", kwargs.get("url")),
        ("endpoint_url", kwargs.get("endpoint_url")),
        ("storage_options.endpoint_url", inner),
        ("storage_options.remote_options.endpoint_url", beyond),
    ):
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            parts = split_url(value)
            host = (parts.hostname if parts else None) or ""
            if reach_of(host) > reach:
                yield _problem(
                    f"{path}.{name}",
                    f"{value!r} lies further inside the network than the catalog",
                )


def _data_problems(path: str, item: object) -> Iterator[Problem]:
    if not isinstance(item, dict) or set(item) != _DATA_KEYS:
        yield _problem(path, f"has other keys than {', '.join(sorted(_DATA_KEYS))}")
        return
    datatype, kwargs = item["datatype"], item["kwargs"]
    if not isinstance(datatype, str) or datatype not in _DATATYPES:
        yield _problem(f"{path}.datatype", f"{datatype!r} is not admitted")
        return
    yield from _inert_problems(path, item)
    if not isinstance(kwargs, dict):
        yield _problem(f"{path}.kwargs", "is not a mapping")
        return
    settings = {k: v for k, v in kwargs.items() if k not in {"url", "storage_options"}}
    yield from _setting_problems(path, settings, _DATATYPES[datatype])
    if kwargs.get("url") == forms.REFERENCE and datatype == forms.ZARR.datatype:
        yield from _reference_problems(path, kwargs.get("storage_options"))
        return
    yield from _place_problems(path, kwargs.get("url"), kwargs.get("storage_options"))


def _entry_problems(path: str, entry: object, data: Mapping[str, object]) -> Iterator[Problem]:
    if not isinstance(entry, dict) or set(entry) != _ENTRY_KEYS:
        yield _problem(path, f"has other keys than {', '.join(sorted(_ENTRY_KEYS))}")
        return
    reader, kwargs = entry["reader"], entry["kwargs"]
    if not isinstance(reader, str) or reader not in _READERS:
        yield _problem(f"{path}.reader", f"{reader!r} is not admitted")
        return
    yield from _inert_problems(path, entry)
    allowed = _READERS[reader]
    returns = entry["output_instance"]
    if not isinstance(returns, str) or returns not in allowed.returns:
        yield _problem(f"{path}.output_instance", "is not what this reader returns")
    if not isinstance(kwargs, dict) or not allowed.required <= set(kwargs):
        yield _problem(f"{path}.kwargs", f"lacks one of {', '.join(sorted(allowed.required))}")
        return
    settings = {k: v for k, v in kwargs.items() if k != "data"}
    yield from _setting_problems(path, settings, allowed.settings)
    if settings.get("engine") == "zarr" and "zarr_format" not in settings:
        yield _problem(f"{path}.kwargs", "must name zarr_format 3: older stores hold pickles")
    match = _DATA_NAME.fullmatch(str(kwargs.get("data")))
    if match is None or match[1] not in data:
        yield _problem(f"{path}.kwargs.data", "does not name an item of data")


def _inert_problems(path: str, item: Mapping[str, object]) -> Iterator[Problem]:
    """Parameters are refused; metadata may be anything that Intake leaves as it is."""
    if item["user_parameters"] != {}:
        yield _problem(f"{path}.user_parameters", "holds parameters")
    if not isinstance(item["metadata"], dict):
        yield _problem(f"{path}.metadata", "is not a mapping")
    elif any(_REFERENCE.match(text) for text in _strings(item["metadata"])):
        yield _problem(f"{path}.metadata", "holds text that Intake would replace: 'data(…'")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _setting_problems(
    path: str, settings: Mapping[str, object], allowed: Mapping[str, Check]
) -> Iterator[Problem]:
    for name, value in settings.items():
        check = allowed.get(name)
        if check is None or not check(value):
            yield _problem(f"{path}.kwargs.{name}", f"{value!r} is not admitted")


def _place_problems(path: str, url: object, options: object) -> Iterator[Problem]:
    fault = _url_fault(url)
    if fault is not None:
        yield _problem(f"{path}.kwargs.url", f"{url!r} {fault}")
    inside = isinstance(url, str) and url.startswith(forms.CATALOG_DIR)
    if isinstance(options, dict):
        yield from _setting_problems(f"{path}.kwargs.storage_options", options, _STORAGE)
    elif options == forms.STORAGE_OPTIONS and not inside:
        yield _problem(
            f"{path}.kwargs.storage_options",
            "would hand the options given for this catalog to another server",
        )
    elif options != forms.STORAGE_OPTIONS and options is not None:
        yield _problem(
            f"{path}.kwargs.storage_options", "is neither a mapping nor the template"
        )


def _reference_problems(path: str, options: object) -> Iterator[Problem]:
    """Check the settings of fsspec's reference file system."""
    if not isinstance(options, dict) or not set(options) <= set(_REFERENCE_OPTIONS):
        yield _problem(f"{path}.kwargs.storage_options", "has other keys than references need")
        return
    yield from _setting_problems(f"{path}.kwargs.storage_options", options, _REFERENCE_OPTIONS)
    index, remote = options.get("fo"), options.get("remote_options")
    if fault := _url_fault(index):
        yield _problem(f"{path}.kwargs.storage_options.fo", f"{index!r} {fault}")
    elif not str(index).startswith(forms.CATALOG_DIR):
        yield _problem(f"{path}.kwargs.storage_options.fo", "does not lie below the catalog")
    if options.get("remote_protocol") is None:
        yield _problem(f"{path}.kwargs.storage_options", "names no protocol")
    if isinstance(remote, dict):
        place = f"{path}.kwargs.storage_options.remote_options"
        yield from _setting_problems(place, remote, {**_STORAGE, "asynchronous": _is(True)})


def _unseen(text: str) -> str | None:
    hidden = any(unicodedata.category(c)[0] in "CZ" and c != " " for c in text)
    return "holds a character that nobody can see" if hidden else None


def _url_fault(url: object) -> str | None:  # noqa: PLR0911 - a list of faults
    if not isinstance(url, str):
        return "is not one address"
    rest = url
    if url.startswith(forms.CATALOG_DIR):
        rest = url.removeprefix(forms.CATALOG_DIR)
        if rest and not rest.startswith("/"):
            return "does not lie below the catalog"
        if ".." in unquote(rest).split("/"):
            return "leaves the catalog's folder"
    elif not url.startswith(_SCHEMES):
        return f"is neither below {forms.CATALOG_DIR} nor s3, https or http"
    if fault := _unseen(rest):
        return fault
    if any(sign in rest for sign in ("{", "}", "::", "@", "\\")):
        return "holds a template, a chain of protocols or a credential"
    return None


def _problem(path: str, message: str) -> Problem:
    return Problem(code="catalog", path=path, message=f"{path} {message}", fix=_FIX)
