"""YAML of records, read as something that nobody trusts and written in one canonical form.

The subset is what JSON can say: mappings with text keys, sequences, text, integers, decimal
numbers, true, false and null. Dates stay text. Tags, anchors, aliases and repeated keys are
problems; so are more bytes than the caller allows (1 MiB of a record) and more than 20 levels.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import yaml

from scidata.errors import InvalidError, Problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_NODES = 2_000_000
MAX_KEY = 1024
"""Characters of a key: every path below it repeats it."""
MAX_NOTED = 1000
"""Problems of one document; who has more is not mistaken but hostile."""
WIDTH = 88

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Mapping[str, bool | None] = {"": None, "~": None, "null": None} | {
    "true": True,
    "false": False,
}
# Narrower than YAML 1.1, on purpose: what these match, `yaml.safe_dump` quotes when it is text.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?")


def read_yaml(
    data: bytes, *, where: str, limit: int = MAX_BYTES
) -> tuple[Value, tuple[Problem, ...]]:
    """Read a document of at most `limit` untrusted bytes.

    Returns
    -------
    tuple
        The value, without what the problems concern, and the problems.

    Raises
    ------
    InvalidError
        If the bytes are too many, not UTF-8, not YAML or nested too deeply.
    """
    if len(data) > limit:
        raise _refusal(
            "yaml-size",
            where,
            f"{len(data)} bytes are more than {limit}",
            "describe the dataset here and move tables into its data",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8: {data[error.start : error.start + 1]!r}"
        raise _refusal("yaml-utf8", where, message, "save the file as UTF-8") from error
    reader = _Reader(text, where)
    try:
        return reader.document(), tuple(reader.problems)
    except yaml.YAMLError as error:
        raise _syntax(error, where) from error


def write_yaml(value: Mapping[str, object]) -> bytes:
    """Write a document: UTF-8, two blanks of indent, keys in the order given.

    The law: ``read_yaml(write_yaml(v), where="") == (v, ())``, for whole numbers below 10^19
    and text without control characters.
    """
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=WIDTH,
        default_flow_style=False,
    )
    return text.encode()


class _Dumper(yaml.SafeDumper):
    """Writes long text as blocks, and twice what occurs twice: readers refuse aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else ">" if len(text) > WIDTH else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class _Reader:
    """Builds values from parser events, so that nothing is expanded or constructed."""

    def __init__(self, text: str, where: str) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))
        self._where = where
        self.problems: list[Problem] = []
        self._nodes = 0

    def document(self) -> Value:
        value: Value = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            elif isinstance(event, yaml.NodeEvent):
                node = self._value(event, "", 0)
                value = node if documents == 1 else value
        if documents > 1:
            self._note("yaml-documents", "", f"{documents} documents", "keep the first one")
        return value

    def _value(self, event: yaml.NodeEvent, path: str, depth: int) -> Value:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _refusal(
                "yaml-nodes",
                self._at(event),
                f"more than {MAX_NODES} values",
                "describe the dataset here and move tables into its data",
            )
        if depth > MAX_DEPTH:
            raise _refusal(
                "yaml-depth",
                self._at(event),
                f"more than {MAX_DEPTH} levels",
                "follow the fields of a record",
            )
        self._refuse_features(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        return None

    def _refuse_features(self, event: yaml.NodeEvent, path: str) -> None:
        fix = "write the value itself"
        if isinstance(event, yaml.AliasEvent):
            self._note("yaml-alias", path, f"the alias *{event.anchor} is not read", fix)
        elif event.anchor:
            self._note("yaml-anchor", path, f"the anchor &{event.anchor} is not read", fix)
        if tag := getattr(event, "tag", None):
            self._note("yaml-tag", path, f"the tag {tag!r} is not read", fix)

    def _sequence(self, path: str, depth: int) -> Value:
        values: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            assert isinstance(event, yaml.NodeEvent)  # noqa: S101 - the parser's grammar
            values.append(self._value(event, f"{path}[{len(values)}]", depth + 1))
        return values

    def _mapping(self, path: str, depth: int) -> Value:
        values: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            assert isinstance(event, yaml.NodeEvent)  # noqa: S101 - the parser's grammar
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if key is not None and len(key) > MAX_KEY:
                raise _refusal(
                    "yaml-key",
                    self._at(event),
                    f"a key of {len(key)} characters",
                    f"write a name of at most {MAX_KEY}",
                )
            inner = f"{path}.{key}".lstrip(".")
            if key is None:
                self._value(event, path, depth + 1)
                self._note("yaml-key", path, "a key is not text", "write name: value")
            following = next(self._events)
            assert isinstance(following, yaml.NodeEvent)  # noqa: S101 - the parser's grammar
            value = self._value(following, inner, depth + 1)
            if key in values:
                self._note(
                    "yaml-duplicate-key",
                    inner,
                    f"{key!r} is written again in line {_line(event)}",
                    "keep one of the two",
                )
            elif key is not None:
                values[key] = value
        return values

    def _note(self, code: str, path: str, message: str, fix: str) -> None:
        self.problems.append(
            Problem(code=code, path=path or "(whole)", message=message, fix=fix)
        )
        if len(self.problems) > MAX_NOTED:
            raise InvalidError.listing(
                self.problems, where=self._where, fix="see each problem's remedy"
            )

    def _at(self, event: yaml.NodeEvent) -> str:
        return f"{self._where}:{_line(event)}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent) -> Value:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


def _syntax(error: yaml.YAMLError, where: str) -> InvalidError:
    mark = getattr(error, "problem_mark", None)
    place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
    said = getattr(error, "problem", None) or str(error)
    return _refusal(
        "yaml-syntax",
        place,
        f"this is not YAML: {said}",
        "look at this line and the one before: indentation, quotes, a blank after the colon",
    )


def _refusal(code: str, path: str, message: str, fix: str) -> InvalidError:
    problem = Problem(code=code, path=path, message=message, fix=fix)
    return InvalidError(message, where=path, fix=fix, problems=[problem])
