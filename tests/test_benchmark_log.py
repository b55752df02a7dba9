"""The log of a run: written as it goes, read back, checked by rules that are data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import scidata
from scidata.benchmarks import check_log
from scidata.benchmarks.harness import Submitter, run
from scidata.benchmarks.log_rules import SCIENCE, check, export
from scidata.benchmarks.mllog import Event, Log, read
from scidata.cli import cli
from scidata.errors import InvalidError, NotFoundError
from tests import tasks
from tests.windows import publish_quakes

Lines = list[dict[str, Any]]  # Any: JSON


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a run of three epochs."""
    folder = tmp_path_factory.mktemp("log")
    quakes = scidata.open("quakes", publish_quakes(folder))
    submitter = Submitter(org="Institute", platform="one node")
    out = folder / "run"
    run(tasks.TASK, tasks.profile(), quakes, out, changed={}, submitter=submitter)
    return out / "mllog.txt"


def _lines(path: Path) -> Lines:
    return [
        json.loads(line.removeprefix(":::MLLOG ")) for line in path.read_text().splitlines()
    ]


def _write(path: Path, lines: Lines) -> Path:
    path.write_text("".join(f":::MLLOG {json.dumps(line)}\n" for line in lines))
    return path


def _index(lines: Lines, key: str, nth: int = 0) -> int:
    return [n for n, line in enumerate(lines) if line["key"] == key][nth]


def test_every_line_has_the_fields_of_the_format_in_their_order(log: Path) -> None:
    for line in _lines(log):
        assert list(line) == [
            "namespace", "time_ms", "event_type", "key", "value", "metadata",
        ]  # fmt: skip
        assert list(line["metadata"])[:2] == ["file", "lineno"]
        assert line["metadata"]["file"].startswith("scidata/benchmarks/")


def test_the_log_of_a_run_obeys_the_rules_and_says_who_ran_what(log: Path) -> None:
    found = check_log(log)
    assert (found["benchmark"], found["org"], found["epochs"]) == ("images", "Institute", 3)
    assert set(found["result"]) == {"train", "validation", "test"}
    said = {line["key"]: line["value"] for line in _lines(log)}
    assert said["submission_division"] == "open"
    assert said["global_batch_size"] == 28
    assert said["train_samples"] == 84


def test_a_log_claims_no_cleared_cache_since_none_is_cleared(log: Path) -> None:
    assert "cache_clear" not in {line["key"] for line in _lines(log)}


def test_the_command_says_that_a_log_is_sound(log: Path) -> None:
    shown = CliRunner().invoke(cli, ["bench", "check-log", str(log)])
    assert shown.stdout.startswith("sound: ")
    printed = CliRunner().invoke(cli, ["bench", "check-log", str(log), "--json"])
    assert json.loads(printed.stdout)["schema"] == "scidata-log-check/1"


def _drop(key: str, nth: int = 0) -> Callable[[Lines], object]:
    return lambda lines: lines.pop(_index(lines, key, nth))


def _set(key: str, field: str, value: object, nth: int = 0) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        lines[_index(lines, key, nth)][field] = value

    return change


def _mark(key: str, field: str, value: object, nth: int = 0) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        metadata = lines[_index(lines, key, nth)]["metadata"]
        if value is None:
            del metadata[field]
        else:
            metadata[field] = value

    return change


def _repeat(key: str) -> Callable[[Lines], object]:
    return lambda lines: lines.insert(_index(lines, key), dict(lines[_index(lines, key)]))


def _move(key: str, before: str) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        line = lines.pop(_index(lines, key))
        lines.insert(_index(lines, before), line)

    return change


BROKEN: dict[str, tuple[Callable[[Lines], object], str]] = {
    "no result": (_drop("result"), "result: exactly one is needed, there are 0"),
    "two results": (_repeat("result"), "result: exactly one is needed, there are 2"),
    "an empty result": (_set("result", "value", {}), "result: no value"),
    "result too early": (_move("result", "run_stop"), "result: before run_stop"),
    "no organisation": (_drop("submission_org"), "submission_org: exactly one"),
    "a nameless one": (_set("submission_org", "value", ""), "submission_org: no value"),
    "closed": (_set("submission_division", "value", "closed"), "'closed' is none of open"),
    "status": (_set("submission_status", "value", "mine"), "'mine' is none of onprem"),
    "run without a stop": (_drop("run_stop"), "run_start: it never ends"),
    "run without a start": (_drop("run_start"), "run_stop: without run_start"),
    "run without status": (_mark("run_stop", "status", None), "run_stop: no status"),
    "run before init ends": (_move("run_start", "init_stop"), "run_start: before init_stop"),
    "init after it ended": (_move("init_stop", "init_start"), "init_start: after init_stop"),
    "epoch after the run": (_move("run_stop", "epoch_start"), "epoch_start: after run_stop"),
    "evaluation after it": (_move("run_stop", "eval_start"), "eval_start: after run_stop"),
    "a slow start": (_set("init_start", "time_ms", 1), "1,800 s are allowed"),
    "time that runs back": (_set("run_stop", "time_ms", 1), "it ends before line"),
    "epoch without a stop": (_drop("epoch_stop", 1), "epoch_start: started again"),
    "epoch without a start": (_drop("epoch_start", 1), "epoch_stop: without epoch_start"),
    "epochs that repeat": (_mark("epoch_start", "epoch_num", 1, 1), "is not above the last"),
    "epochs without number": (_mark("epoch_start", "epoch_num", None), "no epoch_num"),
    "another epoch ends": (_mark("epoch_stop", "epoch_num", 9), "epoch_num is another"),
    "evaluation without end": (_drop("eval_stop", 2), "eval_start: it never ends"),
    "a start that is a point": (
        _set("run_start", "event_type", "POINT_IN_TIME"), "instead of INTERVAL_START",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_log_that_breaks_a_rule_is_refused_by_name(
    log: Path, tmp_path: Path, name: str
) -> None:
    change, message = BROKEN[name]
    lines = _lines(log)
    change(lines)
    path = _write(tmp_path / "broken.txt", lines)
    with pytest.raises(InvalidError) as caught:
        check_log(path)
    assert any(message in problem.message for problem in caught.value.problems)
    shown = CliRunner().invoke(cli, ["bench", "check-log", str(path)])
    assert isinstance(shown.exception, InvalidError)


class Dialect:
    """MLCommons' checker as its documentation tells it: Python from YAML, line by line."""

    def __init__(self, text: str) -> None:
        self.records = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - text only
        self.keys = {r["KEY"]["NAME"]: r["KEY"] for r in self.records if "KEY" in r}

    def accepts(self, events: tuple[Event, ...]) -> bool:
        state: dict[str, Any] = {"s": {}}  # Any: what the code makes of it
        exec(self.records[0]["BEGIN"]["CODE"], state)  # noqa: S102 - our own export
        sound, counts = True, dict.fromkeys(self.keys, 0)
        for event in events:
            record = self.keys.get(event.key)
            if record is None:
                continue
            counts[event.key] += 1
            value = {"value": event.value, "metadata": event.metadata}
            names = {"v": value, "ll": type("Line", (), {"timestamp": event.time_ms})}
            for condition in record.get("CHECK", []):
                sound &= self._holds(condition, state, names)
            try:
                exec(record["POST"], state, names)  # noqa: S102 - our own export
            except LookupError:
                sound = False
        for key, count in counts.items():
            required = self.keys[key].get("REQ")
            sound &= {"EXACTLY_ONE": count == 1, "AT_LEAST_ONE": count > 0}.get(required, True)
        return sound and bool(eval(self.records[-1]["END"]["CHECK"], state))  # noqa: S307

    @staticmethod
    def _holds(condition: str, state: dict[str, Any], names: dict[str, Any]) -> bool:
        try:
            return bool(eval(condition, state, names))  # noqa: S307 - our own export
        except (LookupError, TypeError):
            return False


def test_several_nodes_may_begin_before_one_ends(log: Path, tmp_path: Path) -> None:
    lines = _lines(log)
    _repeat("init_start")(lines)
    assert check(read(_write(tmp_path / "log", lines))) == ()


def test_the_exported_rules_accept_what_ours_accept(log: Path) -> None:
    assert Dialect(export()).accepts(read(log))


# The dialect has no word for the type of an event.
@pytest.mark.parametrize("name", sorted(set(BROKEN) - {"a start that is a point"}))
def test_the_exported_rules_refuse_what_ours_refuse(
    log: Path, tmp_path: Path, name: str
) -> None:
    lines = _lines(log)
    BROKEN[name][0](lines)
    assert not Dialect(export()).accepts(read(_write(tmp_path / "broken.txt", lines)))


def test_the_rules_can_be_printed() -> None:
    shown = CliRunner().invoke(cli, ["bench", "log-rules"])
    assert shown.stdout == export()
    assert [r["KEY"]["NAME"] for r in yaml.safe_load(shown.stdout)[1:-1]] == [
        rule.key for rule in SCIENCE
    ]


OFFICIAL = """\
some launcher says hello
0: :::MLLOG {"namespace": "", "time_ms": 1600000000000, "event_type": "INTERVAL_START", \
"key": "init_start", "value": null, "metadata": {"file": "train.py", "lineno": 7}}
1: :::MLLOG {"namespace": "worker", "time_ms": 1600000000001.5, "event_type": "POINT_IN_TIME", \
"key": "power_reading", "value": {"w": 3}, \
"metadata": {"file": "train.py", "n": 1, "lineno": 9}}
"""


def test_logs_of_others_in_the_format_are_read(tmp_path: Path) -> None:
    (tmp_path / "theirs.txt").write_text(OFFICIAL)
    first, second = read(tmp_path / "theirs.txt")
    assert (first.key, first.kind, first.line) == ("init_start", "INTERVAL_START", 2)
    assert (second.namespace, second.value, second.metadata["n"]) == ("worker", {"w": 3}, 1)
    problems = check((first, second))
    assert "init_start: it never ends" in problems[0].message
    assert {p.path for p in problems[1:]} == {"log"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[]", "not a JSON object"), ("{}", "no namespace"),
     ('{"namespace":"","time_ms":1,"event_type":"X","key":"k","value":1,"metadata":{}}',
      "event_type 'X' is none of"),
     ('{"namespace":"","time_ms":1e999,"event_type":"POINT_IN_TIME","key":"k","value":1,'
      '"metadata":{"file":"f","lineno":1}}', "is no time"),
     ('{"namespace":"","time_ms":1,"event_type":"POINT_IN_TIME","key":1,"value":1,'
      '"metadata":{"file":"f","lineno":1}}', "is no text"),
     ('{"namespace":"","time_ms":1,"event_type":"POINT_IN_TIME","key":"k","value":1,'
      '"metadata":{}}', "without file and lineno"),
     ("[" * 100_000, "not JSON"), ("9" * 2**21, "bytes in a line")],
    ids=range(9),
)  # fmt: skip
def test_a_damaged_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "log.txt").write_text(f"hello\n:::MLLOG {text}\n")
    with pytest.raises(InvalidError, match=message) as caught:
        read(tmp_path / "log.txt")
    assert caught.value.problems[0].path == "line 2"


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot read the log"):
        read(tmp_path / "none.txt")


def test_a_log_goes_on_where_a_checkpoint_says(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.txt")
    log.point("a", 1.0)
    size = log.size
    log.point("b", float("nan"))
    assert [e.value for e in read(tmp_path / "log.txt")] == [1.0, None]
    log.restart(size)
    log.point("c", "é")
    assert [e.key for e in read(tmp_path / "log.txt")] == ["a", "c"]
