"""The pages are right: their blocks run, their links lead somewhere, no verb is left out."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scidata.cli import VERBS
from tests.blocks import Command, blocks, run_command, run_page
from tests.demonstration import Demonstration
from tests.dois import double
from tests.servers import aws_environment, create_bucket

ROOT = Path(__file__).parent.parent
HOWTO = sorted((ROOT / "docs/howto").glob("*.md"))
PAGES = [ROOT / "README.md", *HOWTO]
MOST_STEPS = 7
EVERY_PAGE = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.fixture
def datacite_environment(schemas_if_any: Path | None) -> Iterator[dict[str, str]]:
    with double(schemas_if_any) as running:
        yield {
            **running.environment(),
            "SCIDATA_BASE_URL": "https://data.example.org",
            # Without official schemas the other judges speak, and nothing is fetched.
            "SCIDATA_SCHEMAS": str(schemas_if_any or "/nonexistent"),
        }


@pytest.fixture
def reader(
    demonstration: Demonstration,
    tmp_path: Path,
    s3_endpoint: str,
    datacite_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder of a reader who ran the demo there and owns the bucket ``my-bucket``.

    At DataCite, which a double plays, they own the prefix 10.5072.
    """
    shutil.copytree(demonstration.folder, tmp_path / "scidata-demo")
    for name, value in aws_environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    create_bucket(s3_endpoint, "my-bucket")
    for name, value in datacite_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_does_what_the_page_says(page: Path, reader: Path) -> None:
    run_page(page, reader, os.environ)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", HOWTO, ids=lambda page: page.stem)
def test_a_page_has_at_most_seven_steps(page: Path) -> None:
    assert len(re.findall(r"(?m)^\d+\. ", page.read_text())) <= MOST_STEPS


def test_the_page_on_architecture_has_the_rows_that_imports_are_held_to() -> None:
    page = (ROOT / "docs/design/architecture.md").read_text()
    told = [
        set(re.findall(r"`(\w+)`", row)) for row in re.findall(r"(?m)^\| \d+ \|([^|]+)", page)
    ]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    held = [set(row.split(" | ")) for row in contracts["contracts"][0]["layers"]]
    assert told == held


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_that_uses_it(verb: str) -> None:
    assert any(f"scidata {verb}" in page.read_text() for page in PAGES)


def test_the_set_up_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    shell = [b for b in blocks(ROOT / "README.md") if b.language == "sh"]
    lines = [line for block in shell for line in block.text.splitlines() if "make " in line]
    assert [line.split("#")[0].strip() for line in lines] == ["make demo", "make test"]
    # As a reader's shell runs it, also when these tests run below a make of their own.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    for line in lines:
        target = line.split()[1]
        plan = subprocess.run(
            ["make", "--dry-run", "--always-make", target],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        last = plan.stdout.strip().splitlines()[-1]
        assert last.split("/bin/")[1].startswith(("scidata demo", "python -m pytest")), last


@pytest.mark.slow
def test_each_claim_of_the_readme_is_proved_by_its_command(reader: Path) -> None:
    claims = re.findall(r"^- \*\*.*`([^`]+)`$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(claims) == 3
    for claim in claims:
        run_command(Command(text=claim, expected="", status=0), claim, reader, os.environ)
