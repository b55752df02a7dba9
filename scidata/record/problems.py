"""From what pydantic found to `Problem`: plain words, the place in the file, and a remedy.

The model itself is in `scidata.record.model`; nothing here is about any one field, but for the
list of facts that are computed.
"""

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scidata.errors import InvalidError, Problem

COMPUTED: Mapping[str, str] = {
    "version": "it is given when publishing: scidata publish … --version 1.0.0",
    "doi": "it is given when the DOI is registered",
    "concept_doi": "it is given when the DOI is registered",
    "previous_doi": "it is read from the version before",
    "issued": "it is the day of publishing",
    "modified": "it is the day of publishing",
    "digest": "it is computed from the manifest",
    "sha256": "it is computed from the bytes",
    "checksum": "it is computed from the bytes",
    "checksums": "it is computed from the bytes",
    "size": "it is measured from the data",
    "sizes": "it is measured from the data",
    "bytes": "it is measured from the data",
    "files": "they are listed from the data",
    "assets": "they are listed from the data",
    "media_type": "it follows from the file's form",
    "dtype": "it is read from the data",
    "shape": "it is read from the data",
    "dims": "they are read from the data",
    "chunks": "they are read from the data",
    "landing": "it follows from where the site is built",
    "catalog": "it follows from the store",
}
"""Facts that nobody types, and where each comes from."""

_KINDS = {
    "string": "text",
    "tuple": "a list",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "model": "a mapping of fields",
    "dict": "a mapping of fields",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> tuple[Problem, ...]:
    """Turn every error of a validation into problems, in the order of the file's fields."""
    return tuple(p for detail in error.errors() for p in _problems(detail, model))


def path_of(location: Iterable[int | str]) -> str:
    """Write a place as ``creators[0].orcid``; union tags such as ``<named>`` are left out.

    Examples
    --------
    >>> path_of(("creators", 0, "orcid"))
    'creators[0].orcid'
    """
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("<"):
            path += f".{step}" if path else step
    return path or "(whole)"


def _problems(detail: ErrorDetails, model: type[BaseModel]) -> list[Problem]:
    path = path_of(detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, InvalidError):
        return [
            Problem(
                code=p.code,
                path=_join(path, p.path),
                message=p.message,
                fix=p.fix,
                severity=p.severity,
            )
            for p in cause.problems
        ]
    code, message, fix = _words(detail, model)
    return [Problem(code=code, path=path, message=message, fix=fix)]


def _words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str, str]:
    kind = detail["type"]
    name = str(detail["loc"][-1]) if detail["loc"] else "the record"
    if kind == "extra_forbidden":
        return _unknown_field(name, detail, model)
    if kind == "missing":
        return "missing", f"{name!r} is missing", f"add {name}: …"
    if kind == "literal_error":
        return _choice(detail)
    if kind.endswith("_type") or kind.endswith("_parsing"):
        wanted = _KINDS.get(kind.rsplit("_", 1)[0], "another kind of value")
        hint = "write it in quotes" if wanted == "text" else f"write {wanted}"
        return "wrong-kind", f"{_quote(detail['input'])} is not {wanted}", hint
    if kind == "string_pattern_mismatch":
        pattern = detail.get("ctx", {}).get("pattern")
        return "pattern", f"{_quote(detail['input'])} is refused", f"write text as {pattern}"
    return "out-of-range", f"{_quote(detail['input'])} is refused", _remedy(detail["msg"])


def _unknown_field(
    name: str, detail: ErrorDetails, model: type[BaseModel]
) -> tuple[str, str, str]:
    if name in COMPUTED:
        message = f"{name!r} ({_quote(detail['input'])}) is computed, not typed"
        return "computed", message, f"remove this line: {COMPUTED[name]}"
    fields = _fields_at(model, detail["loc"][:-1])
    near = difflib.get_close_matches(name, fields, n=1)
    fix = f"write {near[0]}" if near else f"remove it; fields here: {', '.join(fields)}"
    return "unknown-field", f"{name!r} is not a field here", fix


def _choice(detail: ErrorDetails) -> tuple[str, str, str]:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return "unknown-choice", f"{_quote(detail['input'])} is not a choice", f"write {expected}"


def _fields_at(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    models: list[type[BaseModel]] = [model]
    for step in location:
        if isinstance(step, str) and not step.startswith("<"):
            found = [m.model_fields[step].annotation for m in models if step in m.model_fields]
            models = [inner for annotation in found for inner in _models_in(annotation)]
    return sorted({name for m in models for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # Any: a type as typing spells it
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [inner for argument in get_args(annotation) for inner in _models_in(argument)]


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004 - one line of a terminal


def _remedy(message: str) -> str:
    _, _, rule = message.partition(" should ")
    return f"write a value that is {rule.removeprefix('be ')}".replace("is have", "has")


def _join(path: str, inner: str) -> str:
    if not inner:
        return path
    if path == "(whole)":
        return inner
    return f"{path}{inner}" if inner.startswith("[") else f"{path}.{inner}"
