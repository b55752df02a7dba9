"""The files of a run: checkpoints, settings and the result; each appears whole.

A checkpoint is read as tensors and plain values only; it can hold no code.
"""

import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
import yaml

from scidata.benchmarks.mllog import plain
from scidata.errors import ConflictError, InvalidError, StorageError

SCHEMA = "scidata-result/2"
RESULT, CHECKPOINT, SETTINGS = "result.json", "checkpoint.pt", "settings.yaml"

_DAMAGED = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError)

Identity = Mapping[str, object]
"""What makes two runs the same: task, profile, version, digest, settings."""


def read_result(out: Path, identity: Identity) -> dict[str, Any] | None:  # Any: JSON
    """Return the result of the same run if it is finished, None if there is none.

    Raises
    ------
    ConflictError
        If the folder holds the result of another run.
    InvalidError
        If it holds something else under that name.
    StorageError
        If it cannot be read.
    """
    path = out / RESULT
    if not path.exists():
        return None
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = result["identity"]
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidError(
            f"{RESULT} is not a result: {error}", where=str(out), fix="choose another --out"
        ) from error
    if differing := _differing(found, identity):
        raise ConflictError(
            f"the folder holds the result of another run: {differing}",
            where=str(path),
            fix="choose another --out, or move the old result away",
        )
    return result


def unscored(result: Mapping[str, Any]) -> str:  # Any: JSON
    """Say of which parts the model has no value of the metric, and why; nothing if of none."""
    scores, metric = result["scores"], result["metric"]
    parts = [part for part in scores if scores[part]["model"].get(metric) is None]
    if not parts:
        return ""
    return (
        f"{metric} of {' and '.join(parts)} cannot be computed from what was scored: the data "
        "are too short, too few samples were scored, or the training diverged"
    )


def prepare(out: Path) -> None:
    """Make the folder, and find out whether it can be written, before hours of training.

    Raises
    ------
    StorageError
        If it cannot.
    """
    _make(out)
    try:
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _unwritable(out, error) from error


def write_result(out: Path, identity: Identity, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write the result; numbers that do not exist become null."""
    document: dict[str, Any] = plain({**result, "identity": dict(identity)})
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace(out / RESULT, text.encode())
    return document


def write_settings(out: Path, settings: Mapping[str, object]) -> None:
    """Write all settings, so that ``--config`` can take them again."""
    replace(out / SETTINGS, yaml.safe_dump(dict(settings), sort_keys=False).encode())


class Checkpoints:
    """The checkpoint of one run."""

    def __init__(self, out: Path, identity: Identity) -> None:
        self.path = out / CHECKPOINT
        self.identity = identity

    def save(self, content: Mapping[str, Any]) -> None:  # Any: tensors and plain values
        """Replace the checkpoint."""
        _make(self.path.parent)
        part = self.path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                torch.save({**content, "identity": dict(self.identity)}, file)
                # The rename must not come to the disk before what it names.
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def read(self) -> dict[str, Any] | None:  # Any: tensors and plain values
        """Return what the same run saved last, None if it begins.

        Raises
        ------
        ConflictError
            If the checkpoint is another run's.
        InvalidError
            If it is damaged.
        StorageError
            If it cannot be read.
        """
        if not self.path.exists():
            return None
        with self.understood():
            try:
                content: dict[str, Any] = torch.load(
                    self.path, weights_only=True, map_location="cpu"
                )
                found = content["identity"]
            except OSError as error:
                raise _unreadable(self.path, error) from error
        if differing := _differing(found, self.identity):
            raise ConflictError(
                f"the folder holds the checkpoint of another run: {differing}",
                where=str(self.path),
                fix="choose another --out, or remove the checkpoint",
            )
        return content

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Say that the checkpoint is damaged where its content makes no sense."""
        try:
            yield
        except (StorageError, ConflictError):
            raise
        except (*_DAMAGED, pickle.PickleError) as error:
            raise InvalidError(
                f"the checkpoint is damaged: {type(error).__name__}",
                where=str(self.path),
                fix=f"remove it to begin anew: rm {self.path}",
            ) from error


def _differing(found: object, identity: Identity) -> str:
    if not isinstance(found, dict):
        return "no identity"
    keys = sorted({*found, *identity})
    return ", ".join(
        f"{k} {found.get(k)!r} instead of {identity.get(k)!r}"
        for k in keys
        if found.get(k) != identity.get(k)
    )


def replace(path: Path, data: bytes) -> None:
    """Write a file, which appears whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _make(path.parent)
    part = path.with_suffix(".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot read {path.name}: {error.strerror}",
        where=str(path.parent),
        fix="choose another --out, or move it away",
    )


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path.name}: {error.strerror or os.strerror(error.errno or 0)}",
        where=str(path.parent),
        fix="make room or choose another --out, then run the same command again",
    )
