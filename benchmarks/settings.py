"""Hyperparameters: declared once, with their ranges; replaced by name from anywhere.

A task adds its own by a subclass. The command line gives text, a YAML file plain values, a
caller Python's; the type of the field says what each is to be.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args, get_origin, get_type_hints

import yaml

from scidata.errors import InvalidError, NotFoundError

Value: TypeAlias = bool | int | float | str

_LARGEST = 2.0**31
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0"}
_MOST_BYTES = 2**20
"""Of a file of settings."""


def setting(
    default: Value,
    *,
    zero: bool = False,
    most: float = _LARGEST,
    machine: bool = False,
) -> Any:  # Any: a dataclass field stands for its default
    """Declare a hyperparameter with a default.

    Parameters
    ----------
    default
    zero : bool
        Whether 0 is allowed; all numbers lie above 0 otherwise.
    most : float
        Largest value.
    machine : bool
        Whether it says where and how fast a run goes, not what is computed: such a setting can
        be changed in a profile that freezes the others.
    """
    return field(default=default, metadata={"zero": zero, "most": most, "machine": machine})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Hyperparameters of every task; each can be replaced by name."""

    model: str
    """One of the task's models."""
    epochs: int
    batch_size: int
    """Samples in a training step, over all processes together."""
    learning_rate: float
    optimizer: Literal["adam", "adamw", "adamax", "sgd"] = "adam"
    momentum: float = setting(0.0, zero=True, most=1.0)
    """Of sgd."""
    weight_decay: float = setting(0.0, zero=True)
    warmup: float = setting(0.0, zero=True)
    """Epochs in which the learning rate rises from nothing, in a line."""
    decay: float = setting(1.0, zero=True)
    """Share of the learning rate that is left at the end; it falls along half a cosine."""
    clip: float = setting(0.0, zero=True)
    """Largest norm of a gradient; 0 does not clip."""
    shuffle: Literal["none", "window", "exact"] = "window"
    """Order of the training samples: as stored in every epoch, mixed from what `memory` holds,
    or one permutation."""
    memory: int = setting(512, most=2**20)
    """MiB that a stream holds; it bounds how far the shuffle ``window`` reaches."""
    score_batch_size: int = 256
    """Samples in a batch of scoring, a process."""
    evaluate_every: int = setting(1, zero=True)
    """Epochs from one evaluation on the validation part to the next; 0 never evaluates."""
    stop_at_target: bool = False
    """End training at the first evaluation that reaches the profile's target."""
    patience: int = setting(0, zero=True)
    """End training after so many evaluations without a better one; 0 never does."""
    keep: Literal["last", "best"] = "last"
    """Whose weights are scored: those of the last step, or of the best evaluation."""
    seed: int = setting(0, zero=True, most=2**63 - 1, machine=True)
    checkpoint_every: int = setting(0, zero=True, machine=True)
    """Steps from one checkpoint to the next; 0 only at the end of an epoch."""
    threads: int = setting(1, most=1024, machine=True)
    """CPU threads of a process. Another number may change the last digits of a result; beside
    other busy processes more than one is slower."""
    device: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", machine=True)
    devices: int = setting(1, most=4096, machine=True)
    """Processes that train together, each with a device. Under torchrun, its world size."""
    precision: Literal["32", "bf16"] = setting("32", machine=True)
    """bf16 computes in bfloat16 where that is safe; weights stay float32."""
    channels_last: bool = setting(False, machine=True)
    """Lay images out with their channels last in memory."""
    compile: bool = setting(False, machine=True)
    """Let torch compile the model."""

    def changed(self, values: Mapping[str, object], *, frozen: str = "") -> Self:
        """Replace settings by name.

        Parameters
        ----------
        values : mapping
            Python's values, or text as the command line gives it.
        frozen : str, optional
            Name of a profile that allows settings of the machine only.

        Raises
        ------
        NotFoundError
            If there is no such setting; the nearest is named.
        InvalidError
            If a value is of another type or out of range, or the profile freezes a setting.
        """
        known = {f.name: f for f in fields(self)}
        if unknown := sorted(set(values) - known.keys()):
            raise _no_setting(unknown, list(known))
        kinds = get_type_hints(type(self))
        found, wrong = dict[str, Value](), list[str]()
        for name, value in values.items():
            parsed = _parse(kinds[name], value)
            if parsed is None:
                wrong.append(f"{name} {value!r} is not {_wording(kinds[name])}")
            elif not _is_in_range(parsed, known[name].metadata):
                wrong.append(f"{name} {value} is out of range: {_range(known[name].metadata)}")
            else:
                found[name] = parsed
        if wrong:
            raise InvalidError(
                "; ".join(wrong),
                where="settings",
                fix="give a value of that kind, in that range; --dry-run shows all settings",
            )
        held = [
            name
            for name, value in found.items()
            if value != getattr(self, name) and not known[name].metadata.get("machine", False)
        ]
        if frozen and held:
            raise InvalidError(
                f"the profile {frozen} freezes {', '.join(held)}",
                where="settings",
                fix="leave them out, or choose another profile",
            )
        # Any: by name, each of the field's own type, as checked above.
        changes: dict[str, Any] = dict(found)
        return replace(self, **changes)

    def to_json(self) -> dict[str, Value]:
        """Return all settings by name."""
        return asdict(self)


def read_settings(file: Path) -> dict[str, Value]:
    """Read settings by name from a YAML file, such as the ``settings.yaml`` of a run.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If it is not a mapping of names to plain values.
    """
    try:
        text = file.read_bytes()[: _MOST_BYTES + 1]
    except OSError as error:
        raise NotFoundError(
            f"cannot read {file.name}: {error.strerror}",
            where=str(file),
            fix="name a YAML file with a line such as learning_rate: 0.001",
        ) from error
    try:
        found = {} if len(text) > _MOST_BYTES else yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        found = None
    if (
        not isinstance(found, dict)
        or not found
        or not all(
            isinstance(k, str) and isinstance(v, bool | int | float | str)
            for k, v in found.items()
        )
    ):
        raise InvalidError(
            f"{file.name} is not a mapping of settings to plain values",
            where=str(file),
            fix="write a line for each, such as learning_rate: 0.001",
        )
    return found


def nearest(name: str, known: list[str]) -> str:
    """Return the known name that is most like another; empty if none is."""
    parts = [k for k in known if name == "".join(word[0] for word in k.split("_"))]
    return next(iter(parts or get_close_matches(name, known, n=1)), "")


def _no_setting(unknown: list[str], known: list[str]) -> NotFoundError:
    near = [n for name in unknown if (n := nearest(name, known))]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return NotFoundError(
        f"no setting {', '.join(unknown)}{hint}",
        where="settings",
        fix=f"choose from {', '.join(known)}",
    )


def _parse(kind: Any, value: object) -> Value | None:  # Any: a type, or a Literal
    """Return a value as the field wants it; None if it is none."""
    if get_origin(kind) is Literal:
        # YAML reads 32 as a number.
        return str(value) if str(value) in get_args(kind) else None
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        word = str(value).lower()
        return word in _YES if word in _YES | _NO else None
    return _number(kind, value)


def _number(kind: type[int] | type[float], value: object) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if kind is int and isinstance(value, float):
            return int(value) if value.is_integer() else None
        return kind(value)
    except (ValueError, OverflowError):
        return None


def _is_in_range(value: Value, limits: Mapping[str, Any]) -> bool:
    if isinstance(value, str | bool):
        return True
    # Not a number is in no range.
    return (
        math.isfinite(value)
        and 0 <= value <= limits.get("most", _LARGEST)
        and (value > 0 or bool(limits.get("zero", False)))
    )


def _range(limits: Mapping[str, Any]) -> str:
    """Say which numbers `_is_in_range` takes."""
    lowest = "0 or more" if limits.get("zero", False) else "more than 0"
    return f"{lowest}, {limits.get('most', _LARGEST):.10g} at most"


def _wording(kind: Any) -> str:  # Any: a type, or a Literal
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
