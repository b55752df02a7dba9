"""What every verb shares: where results and errors go, how lines and numbers look."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scidata.cli.output import print_field
from scidata.publishing import publish
from tests.damage import command
from tests.samples import write_staged


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with tiny@1.0.0."""
    root = tmp_path_factory.mktemp("published")
    publish(write_staged(root / "staged"), root / "store", version="1.0.0")
    return root / "store"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["show", "absent", "--store", "STORE"], 3, "not-found"),
        (["show", "Not A Name", "--store", "STORE"], 4, "invalid"),
        (["show", "--store", "STORE"], 2, "usage"),
        (["lst"], 2, "usage"),
        (["list", "--stroe", "STORE"], 2, "usage"),
    ],
)
def test_an_error_as_json_is_one_document_on_standard_error(
    published: Path, arguments: list[str], code: int, kind: str
) -> None:
    places = {"STORE": str(published)}
    done = run(*(places.get(argument, argument) for argument in arguments), "--json")
    assert done.returncode == code
    assert done.stdout == ""
    document = json.loads(done.stderr)
    assert (document["schema"], document["kind"]) == ("scidata-error/1", kind)
    for field in ("message", "where", "fix"):
        assert document[field]


def test_damage_as_json_is_one_document_on_standard_output(
    published: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert run("pull", "tiny", "--store", published, "--out", copy).returncode == 0
    (copy / "data/table.parquet").unlink()
    done = run("verify", copy, "--store", published, "--json")
    assert (done.returncode, done.stderr) == (5, "")
    document = json.loads(done.stdout)
    assert document["verdict"] == "damaged: 1 file"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_debug_before_the_verb_shows_the_traceback_too(
    published: Path, form: list[str]
) -> None:
    plain = run("show", "absent", "--store", published, *form)
    debug = run("--debug", "show", "absent", "--store", published, *form)
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert debug.returncode == plain.returncode == 3
    if form:
        assert "NotFoundError" in json.loads(debug.stderr)["traceback"]


def test_a_choice_that_is_missing_is_asked_for_without_escapes() -> None:
    told = run("export", "x").stderr
    assert ("Choose from: bibtex, card," in told, "\\t" in told) == (True, False)


def test_the_help_says_where_results_and_errors_go() -> None:
    text = " ".join(run("--help").stdout.split())
    assert "scidata-error/1, on standard error" in text


def test_a_long_line_is_wrapped_below_the_beginning_of_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    digest = "sha256:" + "0" * 64
    print_field("limit", f"no event before 1932-01-01\nis complete {digest}")
    assert capsys.readouterr().out.splitlines() == [
        "limit     no event before 1932-01-01 is",
        "          complete",
        f"          {digest}",
    ]


def test_lines_of_show_are_no_longer_than_the_terminal_is_wide(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = run("show", "tiny", "--store", published).stdout
    prose = [line for line in text.splitlines() if line.startswith(("cite", "limit", " " * 10))]
    assert prose
    for line in prose:
        assert len(line) <= 96 or len(line.split()) == 1, line


def test_a_copy_of_part_is_called_a_sound_part(published: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    pulled = run("pull", "tiny", "--store", published, "--out", copy, "--asset", "table")
    assert "1 file checked, 1 fetched" in pulled.stdout
    done = run("verify", copy, "--store", published)
    assert done.stdout.startswith("sound part (1 of 11 files)  tiny@1.0.0  sha256:")
    document = json.loads(run("verify", copy, "--store", published, "--json").stdout)
    assert document["verdict"] == "sound part (1 of 11 files)"
    assert (document["partial"], document["held"], document["payload"]) == (True, 1, 11)


def test_verify_says_what_was_compared_with_what(published: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    run("pull", "tiny", "--store", published, "--out", copy)
    digest = run("list", "tiny", "--store", published).stdout.split()[-1]
    alone, pinned, stored, remote = (
        run("verify", copy).stdout,
        run("verify", copy, "--digest", digest).stdout,
        run("verify", copy, "--store", published).stdout,
        run("verify", "tiny", "--store", published).stdout,
    )
    assert f"compared with the manifest in {copy}, and that with nothing else\n" in alone
    assert f"compared with the manifest in {copy}, and that with the digest given\n" in pinned
    for text in (stored, remote):
        assert "compared with the manifest of tiny@1.0.0 in file://" in text


def test_an_interrupt_while_the_program_starts_leaves_no_traceback() -> None:
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'scidata.cli.output':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "import scidata.cli\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
