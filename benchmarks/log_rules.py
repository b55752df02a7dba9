"""What the log of a science benchmark must hold: a table, what checks it, what exports it.

The benchmark's own checker runs Python that it finds in YAML; here a rule is data, and that
form is written from it. Sources: MLCommons Science policy 0.5 and submission guide; the common
rules of MLPerf HPC 3.0, of which the guide is a part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import yaml

from scidata.benchmarks.mllog import DIVISION, Event, Kind
from scidata.errors import Problem

Count: TypeAlias = Literal["any", "exactly one", "at least one"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is asked of the events with one key."""

    key: str
    count: Count = "any"
    kind: Kind = "POINT_IN_TIME"
    """A point needs a value, too."""
    choices: tuple[str, ...] = ()
    """Values that are allowed, if not all."""
    metadata: tuple[str, ...] = ()
    """Fields that must be there."""
    after: str = ""
    """Key that must have come before."""
    before: str = ""
    """Key that must not have come before."""
    ends: str = ""
    """Key of the start that this ends: they pair up."""
    same: str = ""
    """Metadata that start and stop share."""
    within_s: int = 0
    """Longest time since the start; 0 is any."""
    rising: str = ""
    """Metadata that is greater each time."""
    repeats: bool = False
    """Whether it may start again before it ends, as several nodes do it."""


_STATUS = ("onprem", "cloud", "preview", "research")


_start = partial(Rule, kind="INTERVAL_START")
_stop = partial(Rule, kind="INTERVAL_END")

SCIENCE = (
    Rule(key="submission_benchmark", count="exactly one"),
    Rule(key="submission_org", count="exactly one"),
    Rule(key="submission_division", count="exactly one", choices=(DIVISION,)),
    Rule(key="submission_version", count="exactly one"),
    Rule(key="submission_github_commit_version", count="exactly one"),
    Rule(key="submission_status", count="exactly one", choices=_STATUS),
    Rule(key="submission_platform", count="exactly one"),
    # Asked for by HPC, not by Science: only whoever clears the caches can say it.
    Rule(key="cache_clear"),
    Rule(key="seed"),
    Rule(key="global_batch_size"),
    Rule(key="opt_name"),
    Rule(key="opt_base_learning_rate"),
    Rule(key="train_samples", count="exactly one"),
    Rule(key="eval_samples", count="exactly one"),
    _start(key="init_start", count="at least one", before="init_stop", repeats=True),
    _stop(key="init_stop", ends="init_start", count="exactly one", within_s=30 * 60),
    _start(key="staging_start"),
    _stop(key="staging_stop", ends="staging_start"),
    _start(key="run_start", count="exactly one", after="init_stop"),
    _stop(key="run_stop", ends="run_start", count="exactly one", metadata=("status",)),
    _start(
        key="epoch_start",
        count="at least one",
        after="run_start",
        before="run_stop",
        metadata=("epoch_num",),
        rising="epoch_num",
    ),
    _stop(key="epoch_stop", ends="epoch_start", metadata=("epoch_num",), same="epoch_num"),
    _start(key="eval_start", after="run_start", before="run_stop", metadata=("epoch_num",)),
    _stop(key="eval_stop", ends="eval_start", metadata=("epoch_num",), same="epoch_num"),
    Rule(key="eval_accuracy", metadata=("epoch_num",)),
    Rule(key="result", count="exactly one", after="run_stop"),
)
"""The rules of the science benchmarks; keys that are not named here are free."""


def check(events: Iterable[Event], rules: Iterable[Rule] = SCIENCE) -> tuple[Problem, ...]:
    """Return everything that is wrong with a log, in its order; what is missing comes last."""
    checker = _Checker(rules)
    found = [problem for event in events for problem in checker.take(event)]
    return (*found, *checker.end())


class _Checker:
    """Goes through a log once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.key: rule for rule in rules}
        self._starts = {rule.ends for rule in self._rules.values() if rule.ends}
        self._seen: dict[str, int] = {}
        self._open: dict[str, Event] = {}
        self._last: dict[str, float] = {}

    def take(self, event: Event) -> Iterator[Problem]:
        """Yield what is wrong with an event where it stands."""
        rule = self._rules.get(event.key)
        if rule is not None:
            for fault in (*_own_faults(event, rule), *self._faults(event, rule)):
                yield _problem(f"line {event.line}", f"{event.key}: {fault}")
        self._seen[event.key] = self._seen.get(event.key, 0) + 1
        if event.key in self._starts:
            self._open.setdefault(event.key, event)
        if rule is not None and rule.ends:
            self._open.pop(rule.ends, None)

    def end(self) -> Iterator[Problem]:
        """Yield what never came."""
        for key, event in self._open.items():
            yield _problem(f"line {event.line}", f"{key}: it never ends")
        for rule in self._rules.values():
            count = self._seen.get(rule.key, 0)
            if (rule.count == "exactly one" and count != 1) or (
                rule.count == "at least one" and not count
            ):
                yield _problem("log", f"{rule.key}: {rule.count} is needed, there are {count}")

    def _faults(self, event: Event, rule: Rule) -> Iterator[str]:
        """Yield what is wrong with an event after those before it."""
        if rule.after and rule.after not in self._seen:
            yield f"before {rule.after}"
        if rule.before and rule.before in self._seen:
            yield f"after {rule.before}"
        if event.key in self._open and not rule.repeats:
            yield f"started again; the one of line {self._open[event.key].line} has not ended"
        if rule.ends:
            yield from self._ending_faults(event, rule)
        if rule.rising:
            value = event.metadata.get(rule.rising)
            if not isinstance(value, int | float) or value <= self._last.get(rule.key, 0):
                yield f"{rule.rising} {value!r} is not above the last one"
            else:
                self._last[rule.key] = value

    def _ending_faults(self, event: Event, rule: Rule) -> Iterator[str]:
        start = self._open.get(rule.ends)
        if start is None:
            yield f"without {rule.ends}"
            return
        if rule.same and event.metadata.get(rule.same) != start.metadata.get(rule.same):
            yield f"{rule.same} is another than that of line {start.line}"
        took = (event.time_ms - start.time_ms) / 1000
        if took < 0:
            yield f"it ends before line {start.line}, where it starts"
        if rule.within_s and took > rule.within_s:
            yield f"{took:,.0f} s after line {start.line}; {rule.within_s:,} s are allowed"


def _own_faults(event: Event, rule: Rule) -> Iterator[str]:
    """Yield what is wrong with an event by itself."""
    if event.kind != rule.kind:
        yield f"event_type {event.kind} instead of {rule.kind}"
    if rule.kind == "POINT_IN_TIME" and event.value in (None, "", {}):
        yield "no value"
    elif rule.choices and event.value not in rule.choices:
        yield f"{event.value!r} is none of {', '.join(rule.choices)}"
    if absent := [name for name in rule.metadata if name not in event.metadata]:
        yield f"no {', '.join(absent)} in its metadata"


def _problem(path: str, message: str) -> Problem:
    return Problem(
        code="mllog-rule", path=path, message=message, fix="see scidata bench log-rules"
    )


def export(rules: Iterable[Rule] = SCIENCE) -> str:
    """Write the rules in the dialect of MLCommons' compliance checker, which runs them.

    Returns
    -------
    str
        YAML: BEGIN, a KEY for each rule with REQ, CHECK and POST, and END.
    """
    table = tuple(rules)
    starts = {rule.ends for rule in table if rule.ends}
    records: list[dict[str, object]] = [
        {"BEGIN": {"CODE": "s.update({'seen': set(), 'open': {}, 'last': {}})"}}
    ]
    records += [{"KEY": _exported(rule, starts=starts)} for rule in table]
    records.append({"END": {"CHECK": "not s['open']"}})
    return yaml.safe_dump(records, sort_keys=False, width=10_000)


def _exported(rule: Rule, *, starts: set[str]) -> dict[str, object]:
    record: dict[str, object] = {"NAME": rule.key}
    if rule.count != "any":
        record["REQ"] = rule.count.upper().replace(" ", "_")
    if checks := list(_conditions(rule, starts=starts)):
        record["CHECK"] = checks
    record["POST"] = "; ".join(_effects(rule, starts=starts))
    return record


def _conditions(rule: Rule, *, starts: set[str]) -> Iterator[str]:
    """Yield Python that must hold: `v` is the event, `s` the state, `ll` the line."""
    if rule.choices:
        yield f"v['value'] in {list(rule.choices)}"
    elif rule.kind == "POINT_IN_TIME":
        yield "v['value'] not in (None, '', {})"
    for name in rule.metadata:
        yield f"{name!r} in v['metadata']"
    yield from _ending_conditions(rule)
    if rule.after:
        yield f"{rule.after!r} in s['seen']"
    if rule.before:
        yield f"{rule.before!r} not in s['seen']"
    if rule.key in starts and not rule.repeats:
        yield f"{rule.key!r} not in s['open']"
    if rule.rising:
        yield f"v['metadata'][{rule.rising!r}] > s['last'].get({rule.key!r}, 0)"


def _ending_conditions(rule: Rule) -> Iterator[str]:
    if not rule.ends:
        return
    start = f"s['open'][{rule.ends!r}]"
    yield f"{rule.ends!r} in s['open']"
    yield f"ll.timestamp >= {start}[0]"
    if rule.within_s:
        yield f"ll.timestamp - {start}[0] <= {rule.within_s * 1000}"
    if rule.same:
        yield f"v['metadata'].get({rule.same!r}) == {start}[1].get({rule.same!r})"


def _effects(rule: Rule, *, starts: set[str]) -> Iterator[str]:
    """Yield Python that changes the state."""
    yield f"s['seen'].add({rule.key!r})"
    if rule.key in starts:
        yield f"s['open'].setdefault({rule.key!r}, (ll.timestamp, v['metadata']))"
    if rule.ends:
        yield f"s['open'].pop({rule.ends!r}, None)"
    if rule.rising:
        yield f"s['last'][{rule.key!r}] = v['metadata'].get({rule.rising!r})"
