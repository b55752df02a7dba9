"""What reaches the terminal: nothing that commands it, not too much, and no traceback."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from scidata.cli.output import capped, print_field, print_json, print_table, say
from scidata.publishing import publish
from tests.damage import command
from tests.samples import write_staged

CLI = Path(__file__).parent.parent / "scidata/cli"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.\x9b31m\x7f\nsound\udcff"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with tiny@1.0.0."""
    root = tmp_path_factory.mktemp("published")
    publish(write_staged(root / "staged"), root / "store", version="1.0.0")
    return root / "store"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def into(target: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a verb in a shell that sends its output somewhere, as in ``scidata list > …``."""
    script = f'set -o pipefail; "$@" {target}'
    words = ["bash", "-c", script, "bash", *command(*arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


# What a terminal would obey


def test_nothing_that_a_terminal_obeys_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(HOSTILE, err=True)
    print_field("title", HOSTILE)
    print_table([HOSTILE], [[HOSTILE]])
    out, err = capsys.readouterr()
    assert not OBEYED.search(out + err)
    assert "\\x1b[2J" in out
    assert "sound" not in (out + err).split("\n")


def test_json_keeps_hostile_text_and_sends_no_command_either(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json("scidata-test/1", {"name": HOSTILE, HOSTILE: ["é", 1]})
    text = capsys.readouterr().out
    assert not OBEYED.search(text)
    document = json.loads(text)
    assert (document["name"], document[HOSTILE]) == (HOSTILE, ["é", 1])


def test_words_of_any_language_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("Müller, 40 °N, 地震, می‌خواهم")
    assert capsys.readouterr().out == "Müller, 40 °N, 地震, می‌خواهم\n"


def test_every_verb_prints_in_the_one_place() -> None:
    for file in CLI.glob("*.py"):
        if file.name != "output.py":
            assert not re.search(r"click\.s?echo\(", file.read_text()), file.name


def test_a_file_name_with_escapes_in_a_copy_is_named_harmlessly(
    published: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    run("pull", "tiny", "--store", published, "--out", copy)
    (copy / "data" / "\x1b[2J\nsound  tiny@1.0.0").write_text("x")
    for done in (run("verify", copy), run("verify", copy, "--store", published)):
        assert done.returncode == 5
        assert not OBEYED.search(done.stdout + done.stderr)
        assert not any(line.startswith("sound") for line in done.stdout.splitlines())


def test_an_escape_in_what_the_user_typed_comes_back_harmless() -> None:
    done = run("show", "\x1b[2Jtiny", "--\x1b[2J")
    assert done.returncode == 2
    assert not OBEYED.search(done.stderr)


# Where the output goes


@pytest.mark.parametrize("arguments", [["list", "--store", "STORE"], ["--help"]])
def test_a_reader_who_goes_away_ends_a_verb_quietly_as_cat_would(
    published: Path, arguments: list[str]
) -> None:
    words = [str(published) if word == "STORE" else word for word in arguments]
    done = into("| true", *words)
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")
    done = into("| head -1", *words)
    assert done.returncode in {0, 141}  # if all was said before the reader went
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [["list", "--store", "STORE"], ["--help"], ["show", "tiny", "--store", "STORE"]],
)
def test_a_result_that_cannot_be_written_is_one_error(
    published: Path, arguments: list[str]
) -> None:
    words = [str(published) if word == "STORE" else word for word in arguments]
    done = into("> /dev/full", *words)
    assert done.returncode == 6
    assert done.stderr.splitlines() == [
        "error: the result could not be written: No space left on device",
        "  where: standard output",
        "  fix:   make room or send the output elsewhere, then run the same command again",
    ]
    if "--store" in words:
        done = into("> /dev/full", *words, "--json")
        assert (done.returncode, json.loads(done.stderr)["kind"]) == (6, "storage")


def test_an_error_that_cannot_be_written_still_ends_with_its_code(tmp_path: Path) -> None:
    done = into("2> /dev/full", "list", "--store", tmp_path / "absent")
    assert done.returncode == 3


# How much of it


def test_a_long_list_is_cut_and_says_how_many_are_left() -> None:
    assert capped(["a", "b"], 2) == ["a", "b"]
    assert capped(["a", "b", "c"], 2) == ["a", "b", "... and 1 more; --json lists all"]


@pytest.fixture
def many(published: Path, tmp_path: Path) -> Path:
    """A copy of tiny@1.0.0 with 30 extra files, 1 that is bad and 1 that is missing."""
    copy = tmp_path / "copy"
    run("pull", "tiny", "--store", published, "--out", copy)
    for number in range(30):
        (copy / "data" / f"extra-{number:02}").write_text("x")
    (copy / "data/table.parquet").write_text("x")
    (copy / "meta/record.yaml").unlink()
    return copy


def test_verify_prints_twenty_of_each_kind_of_damage_and_json_all(
    published: Path, many: Path
) -> None:
    done = run("verify", many, "--store", published)
    lines = done.stdout.splitlines()
    assert done.returncode == 5
    assert [line.split()[0] for line in lines[:2]] == ["bad", "missing"]
    assert len([line for line in lines if line.startswith("extra ")]) == 20
    assert "... and 10 more extra; --json lists all" in lines
    document = json.loads(run("verify", many, "--store", published, "--json").stdout)
    assert len(document["damage"]) == 32


def test_verify_says_what_to_do_about_damage(
    published: Path, many: Path, tmp_path: Path
) -> None:
    for extra in (many / "data").glob("extra-*"):
        extra.unlink()
    done = run("verify", many, "--store", published)
    fix = done.stderr.splitlines()[-1]
    assert fix.startswith("fix:  fetch them: scidata pull tiny@1.0.0 --store file://")
    assert run(*fix.partition("scidata ")[2].split()).returncode == 0
    assert run("verify", many, "--store", published).returncode == 0
    store = Path(shutil.copytree(published, tmp_path / "store"))
    (store / "tiny/v1.0.0/data/table.parquet").unlink()
    fix = run("verify", "tiny", "--store", store).stderr.splitlines()[-1]
    mend = fix.partition("scidata ")[2].replace("URL", str(published), 1).split()
    assert run(*mend).returncode == 0
    assert run("verify", "tiny", "--store", store).returncode == 0


def test_verify_of_a_folder_alone_says_how_to_mend_it(
    published: Path, many: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(many, tmp_path / "a copy")
    (copy / "data/table.parquet").write_text("x")
    fix = run("verify", copy).stderr.splitlines()[-1]
    mend = shlex.split(fix.partition("scidata ")[2].replace("URL", str(published)))
    assert mend[:2] == ["repair", str(copy)]
    assert "repaired data/table.parquet" in run(*mend).stdout


def test_verify_with_another_digest_says_to_find_out_which_is_meant(published: Path) -> None:
    digest = "sha256:" + "0" * 64
    done = run("verify", "tiny", "--store", published, "--digest", digest)
    assert done.returncode == 5
    assert "find out which of the two digests was cited" in done.stderr


def test_verify_counts_tag_files_apart(published: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    run("pull", "tiny", "--store", published, "--out", copy)
    targets: list[list[str | Path]] = [[copy], [copy, "--fast"], ["tiny", "--store", published]]
    for words in targets:
        text = run("verify", *words).stdout
        document = json.loads(run("verify", *words, "--json").stdout)
        assert f"  11 files, {document['tags']} tag files, " in text
        assert document["files"] == 11 + document["tags"]
        assert document["tags"] >= 7


def test_a_dry_run_of_publish_is_a_summary_and_json_lists_all(
    bare: Path, tmp_path: Path
) -> None:
    for number in range(40):
        (bare / f"data/deep/more-{number}.txt").write_text("more\n")
    plan = ("publish", bare, "--version", "1.0.0", "--store", tmp_path / "s", "--dry-run")
    done = run(*plan)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) == 8
    count = len(json.loads(run(*plan, "--json").stdout)["upload"])
    assert count > 40
    assert lines[5] == f"... and {count - 5} more; --json lists all"
    assert lines[6].startswith(f"would upload {count} objects, ")
    assert not (tmp_path / "s").exists()
