"""The folder of a submission: ``ORG/TASK/SYSTEM/DESCRIPTOR``, made of a finished run.

Source: MLCommons Science, guide to submissions. It says what was run on which data, with which
code, and holds no credential, user or place of the machine.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scidata.benchmarks import mllog, predictions, runs
from scidata.benchmarks.log_rules import check
from scidata.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    ScidataError,
    StorageError,
)

SCHEMA = "scidata-submission/1"
MANIFEST = "manifest-sha256.txt"
DESCRIPTION, SYSTEM, LOG = "submission.json", "system.json", "result-1.txt"
CONFIG = "config.yaml"
"""As the guide calls what names code, data and settings."""
WRITE_UP = "scientific_contribution.md"
SYSTEM_FIELDS = (
    "submitter", "division", "status", "system_name", "number_of_nodes",
    "host_processors_per_node", "host_processor_model_name", "host_processor_core_count",
    "host_processor_vcpu_count", "host_processor_frequency", "host_processor_caches",
    "host_processor_interconnect", "host_memory_capacity", "host_storage_type",
    "host_storage_capacity", "host_networking", "host_networking_topology",
    "host_memory_configuration", "accelerators_per_node", "accelerator_model_name",
    "accelerator_host_interconnect", "accelerator_frequency",
    "accelerator_on-chip_memories", "accelerator_memory_configuration",
    "accelerator_memory_capacity", "accelerator_interconnect",
    "accelerator_interconnect_topology", "cooling", "hw_notes", "framework",
    "other_software_stack", "operating_system", "sw_notes",
)  # fmt: skip
"""Fields of a system's description; what nothing tells is an empty text to be filled in."""

_MOST_NAME = 100
_HOMES = re.compile(r"(/home/|/root/|/Users/|[A-Za-z]:\\Users\\)")


@dataclass(frozen=True, kw_only=True)
class Named:
    """Who submits what; each name also becomes that of a folder."""

    org: str
    system: str
    descriptor: str

    def folder(self, task: str) -> Path:
        """Return where a submission of this name lies."""
        return Path(slug(self.org), task, slug(self.system), slug(self.descriptor))


def slug(name: str) -> str:
    """Make the name of a folder of a name.

    Examples
    --------
    >>> slug("Institute of Seismology, Nürnberg")
    'institute-of-seismology-n-rnberg'
    """
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not found or len(name) > _MOST_NAME or not name.isprintable() or _HOMES.search(name):
        raise InvalidError(
            f"{name!r} is no name for a submission",
            where="submission",
            fix=f"give up to {_MOST_NAME} characters with a letter or a digit among them",
        )
    return found


def plan(
    run: Path,
    *,
    org: str,
    system: str,
    descriptor: str | None,
    by_reference: bool,
    doi: str | None,
) -> tuple[dict[str, bytes], Path]:
    """Return the files of a submission by path, and its folder; nothing is written.

    Raises
    ------
    NotFoundError
        If there is no finished run.
    InvalidError
        If its log breaks a rule, it kept no predictions, or it has no score.
    ConflictError
        If its log names another organisation or system.
    """
    result = _result(run)
    with _understood(run):
        return _planned(
            run,
            result,
            org=org,
            system=system,
            descriptor=descriptor,
            by_reference=by_reference,
            doi=doi,
        )


def _planned(
    run: Path,
    result: Mapping[str, Any],  # Any: JSON
    *,
    org: str,
    system: str,
    descriptor: str | None,
    by_reference: bool,
    doi: str | None,
) -> tuple[dict[str, bytes], Path]:
    if fault := runs.unscored(result):
        raise InvalidError(
            fault,
            where=str(run / runs.RESULT),
            fix="the same run would give the same: run it on a longer dataset (--dataset), or "
            "with settings that score more and learn slower (--set), into another --out",
        )
    seed = result["hyperparameters"]["seed"]
    named = Named(
        org=org, system=system, descriptor=descriptor or f"{result['profile']}-seed{seed}"
    )
    folder = named.folder(result["task"])
    log = _log(run, named)
    kept = result.get("predictions") or {}
    if absent := [p for p in result["scores"] if "sha256" not in kept.get(p, {})]:
        raise InvalidError(
            f"the run kept no predictions of {', '.join(absent)}",
            where=str(run),
            fix="run it again with this scidata, into another --out",
        )
    files = {
        LOG: log,
        runs.RESULT: _json(result),
        runs.SETTINGS: yaml.safe_dump(result["hyperparameters"], sort_keys=False).encode(),
        CONFIG: _config(result, doi),
        SYSTEM: _json(_system(result, named, log)),
        DESCRIPTION: _json(_description(result, named, by_reference=by_reference, doi=doi)),
        "run.sh": _script(result),
        WRITE_UP: _write_up(result, named),
        "README.md": _readme(result, named),
    }
    for part in () if by_reference else kept.values():
        path = run / predictions.FOLDER / Path(part["path"]).name
        predictions.read(path, sha256=part["sha256"])
        files[part["path"]] = path.read_bytes()
    files[MANIFEST] = manifest(files)
    return files, folder


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write a submission; the manifest comes last.

    Raises
    ------
    ConflictError
        If the folder holds something already.
    StorageError
        If it cannot be written.
    """
    if out.exists():
        raise ConflictError(
            "there is a submission already",
            where=str(out),
            fix="choose another --descriptor, or move the old one away",
        )
    try:
        for path, data in files.items():
            target = out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (out / "run.sh").chmod(0o755)
    except OSError as error:
        raise StorageError(
            f"cannot write the submission: {error.strerror}",
            where=str(out),
            fix="make room or choose another --out",
        ) from error


def manifest(files: Mapping[str, bytes]) -> bytes:
    """Return what ``sha256sum --check`` takes."""
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return "".join(lines).encode()


def _result(run: Path) -> dict[str, Any]:  # Any: JSON
    path = run / runs.RESULT
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        schema = found["schema"]
    except OSError as error:
        begun = (run / runs.CHECKPOINT).exists()
        raise NotFoundError(
            "the run has not ended" if begun else f"no finished run: {error.strerror}",
            where=str(path),
            fix="continue it: repeat its scidata bench run with the same --out"
            if begun
            else "name the --out of a scidata bench run that has ended",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_result(run, error) from error
    if schema != runs.SCHEMA:
        raise InvalidError(
            f"{runs.RESULT} is of schema {schema!r}, not {runs.SCHEMA}",
            where=str(run),
            fix="run it again with this scidata",
        )
    return found


@contextmanager
def _understood(run: Path) -> Iterator[None]:
    """Say that the result is none where its fields make no sense."""
    try:
        yield
    except ScidataError:  # some are a LookupError or a ValueError, too
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _no_result(run, error) from error


def _no_result(run: Path, error: Exception) -> InvalidError:
    return InvalidError(
        f"{runs.RESULT} is not a result: {type(error).__name__} {error}",
        where=str(run),
        fix="somebody changed it: run it again, into another --out",
    )


def _log(run: Path, named: Named) -> bytes:
    """Return the log; a name that was left open at the run is put in, no other is changed."""
    path = run / mllog.NAME
    events = mllog.read(path)
    if problems := check(events):
        raise InvalidError.listing(problems, where=str(path), fix="run it again")
    lines = path.read_bytes().split(b"\n")
    wanted = {"submission_org": named.org, "submission_platform": named.system}
    for event in events:
        name = wanted.get(event.key, event.value)
        if event.value == name:
            continue
        if event.value != mllog.UNNAMED:
            raise ConflictError(
                f"the log says {event.key} {event.value!r}, not {name!r}",
                where=f"{path}:{event.line}",
                fix="submit by the names that the run was made with",
            )
        line = json.loads(lines[event.line - 1].partition(mllog.PREFIX.encode())[2])
        text = json.dumps({**line, "value": name}, ensure_ascii=False)
        lines[event.line - 1] = mllog.PREFIX.encode() + text.encode()
    return b"\n".join(lines)


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _description(
    result: Mapping[str, Any], named: Named, *, by_reference: bool, doi: str | None
) -> dict[str, Any]:  # Any: JSON
    fields = ("sha256", "bytes", "samples")
    return {
        "schema": SCHEMA,
        "org": named.org,
        "system": named.system,
        "descriptor": named.descriptor,
        "task": result["task"],
        "profile": result["profile"],
        "division": mllog.DIVISION,
        "created": result["created"],
        "dataset": {**result["dataset"], "doi": doi},
        "metric": result["metric"],
        "higher_is_better": result["higher_is_better"],
        "scores": result["scores"],
        "splits": result["splits"],
        "quirks": result["quirks"],
        "leaks": result["leaks"],
        "predictions": {
            part: {
                "path": None if by_reference else kept["path"],
                **{name: kept[name] for name in fields},
            }
            for part, kept in result["predictions"].items()
        },
    }


def _config(result: Mapping[str, Any], doi: str | None) -> bytes:
    code, data = result["code"], result["dataset"]
    document = {
        "code": {"name": "scidata", "version": code["scidata"], "commit": code["commit"]},
        "data": [{"name": data["name"], "digest": data["digest"], "doi": doi}],
        "settings": runs.SETTINGS,
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def _system(result: Mapping[str, Any], named: Named, log: bytes) -> dict[str, object]:
    hardware = result["hardware"]
    status = re.search(rb'"submission_status", "value": "([a-z]+)"', log)
    has_accelerator = hardware["device"] != "cpu"
    known: dict[str, object] = {
        "submitter": named.org,
        "division": mllog.DIVISION,
        "status": status[1].decode() if status else "research",
        "system_name": named.system,
        "host_processor_model_name": hardware["cpu"],
        "host_processor_vcpu_count": hardware["cores"],
        "accelerators_per_node": "" if has_accelerator else 0,
        "accelerator_model_name": hardware["device"] if has_accelerator else "",
        "framework": f"torch {hardware['torch']}",
        "other_software_stack": f"Python {hardware['python']}, scidata "
        f"{result['code']['scidata']}",
        "operating_system": f"{hardware['system']} {hardware['machine']}",
    }
    return {name: known.get(name, "") for name in SYSTEM_FIELDS}


def _script(result: Mapping[str, Any]) -> bytes:
    return (
        "#!/bin/sh\n# Trains and scores again; SCIDATA_STORE names a store with the version.\n"
        f"scidata bench run {result['task']} --profile {result['profile']} \\\n"
        f"    --dataset {result['dataset']['name']} --config {runs.SETTINGS} --out again\n"
    ).encode()


def _write_up(result: Mapping[str, Any], named: Named) -> bytes:
    metric, target = result["metric"], result["target"]
    reference = target["value"] if target else "-"
    rows = "".join(
        f"| {metric}, {part} | {reference} | {found['model'][metric]} |\n"
        for part, found in result["scores"].items()
    )
    return (
        f"# {result['title']}: {named.org} on {named.system}\n\n"
        "Say here what is new, why it works, and where it does not: one to three pages.\n\n"
        f"| measurement | reference value | submitted value |\n|---|---|---|\n{rows}\n"
        "## Method\n\n## What the result means for the science\n\n"
        f"## References\n\n- The task: {result['source']}\n"
        f"- The data: {result['dataset']['name']}, {result['dataset']['digest']}\n"
    ).encode()


def _readme(result: Mapping[str, Any], named: Named) -> bytes:
    return (
        f"# {result['task']}, {result['profile']}: {named.org} on {named.system}\n\n"
        f"Data: {result['dataset']['name']}, {result['dataset']['digest']}. Division: open.\n\n"
        f"`sha256sum --check {MANIFEST}` compares the files. `scidata bench check .` computes\n"
        "the score again from the predictions and the data; `run.sh` trains again.\n"
    ).encode()
