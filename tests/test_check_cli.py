"""The commands check and init: every problem in words or JSON; a new record is filled in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scidata.cli import main
from tests.checked import change_record, change_split


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_record_that_may_not_be_read_exits_6(staged: Path) -> None:
    (staged / "record.yaml").chmod(0)
    assert run("check", str(staged)) == 6


def test_the_command_names_every_problem_and_exits_4(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_record(staged, lambda fields: fields.update(id="A", license="MIT License"))
    assert run("check", str(staged)) == 4
    out = capsys.readouterr().out
    assert "error id: 'A' is not a dataset id [id-form]" in out
    assert "error license: 'MIT License' is not an SPDX licence id [spdx-unknown]" in out
    assert "2 errors" in out.splitlines()[-1]


def test_warnings_fail_only_when_they_shall(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", str(staged)) == 0
    assert "ok, 0 errors" in capsys.readouterr().out
    assert run("check", str(staged), "--strict") == 4


def test_the_command_prints_one_json_document(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_split(staged, lambda text: text.replace("0003\n", "") + "0017\n")
    assert run("check", str(staged), "--json") == 4
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "scidata-check/1"
    assert document["dataset"] == "tiny"
    assert not document["passed"]
    assert document["errors"] == 1
    assert document["problems"][0]["code"] == "split-overlap"
    assert document["problems"][0]["path"] == "splits[0].parts"


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Record"


def test_nothing_to_check_is_a_usage_error() -> None:
    assert run("check") == 2


def test_an_absent_file_exits_3(tmp_path: Path) -> None:
    assert run("check", str(tmp_path / "absent.yaml")) == 3


def test_a_new_record_is_listed_as_to_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "waves") == 0
    assert capsys.readouterr().out == "wrote waves/record.yaml\n"
    assert run("check", "waves/record.yaml", "--json") == 4
    codes = {problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]}
    assert codes == {"to-fill-in"}


def test_a_record_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "record.yaml"
    path.write_text("precious")
    assert run("init", "waves", "--out", str(path)) == 7
    assert path.read_text() == "precious"


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "record.yaml"
    assert run("init", "waves", "--out", str(path), "--dry-run") == 0
    assert "id: waves" in capsys.readouterr().out
    assert run("init", "waves", "--out", str(path), "--dry-run", "--json") == 0
    assert not json.loads(capsys.readouterr().out)["written"]
    assert not path.parent.exists()


def test_a_name_that_is_no_id_exits_4(tmp_path: Path) -> None:
    assert run("init", "../waves", "--out", str(tmp_path / "record.yaml")) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_exits_6(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run("init", "waves", "--out", str(tmp_path / "file" / "record.yaml")) == 6


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    script = "import resource, sys; from scidata.cli import main; "
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); main(sys.argv[1:])"
    arguments = ["init", "waves", "--out", str(tmp_path / "record.yaml")]
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *arguments], check=False, capture_output=True
    )
    assert done.returncode == 6, done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
