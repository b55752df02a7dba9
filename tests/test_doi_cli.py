"""`scidata doi` as a program: documents, exit codes, credentials."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from scidata.cli.doi import show_command
from scidata.doi import credentials
from scidata.doi.credentials import PRODUCTION, TEST, Credentials, api_address, credentials_of
from scidata.errors import NotFoundError
from scidata.storage import open_store
from scidata.testing.datacite import SECRET, Double, Fault
from tests import dois
from tests.damage import command
from tests.dois import CONCEPT, DOI
from tests.samples import write_bare
from tests.versions import write_version


@pytest.fixture
def datacite(schemas_if_any: Path | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    with dois.double(schemas_if_any) as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SCIDATA_BASE_URL", dois.BASE)
        monkeypatch.setenv("SCIDATA_SCHEMAS", str(schemas_if_any or "/nonexistent"))
        yield double


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    write_version(open_store(folder), write_bare(tmp_path / "bare"))
    return folder


def run(store: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("doi", *arguments, "--store", store),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_verb_prints_one_document(store: Path, datacite: Double) -> None:
    done = run(store, "preview", "bare@1.0.0", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["doi"]) == ("scidata-doi-preview/1", DOI)
    record = store / "bare/v1.0.0/meta/record.yaml"
    corrected = store.parent / "corrected.yaml"
    corrected.write_text(record.read_text().replace("Tiny waves", "Small waves"))
    for verb, state, more in (
        ("draft", "draft", []),
        ("register", "registered", ["--no-page-check"]),
        ("publish", "findable", ["--no-page-check"]),
        ("update", "findable", ["--record", str(corrected)]),
    ):
        document = json.loads(run(store, verb, "bare@1.0.0", *more, "--json").stdout)
        assert (document["schema"], document["state"]) == ("scidata-doi/1", state)
    document = json.loads(run(store, "show", "bare@1.0.0", "--json").stdout)
    assert (document["schema"], document["state"]) == ("scidata-doi-show/1", "findable")
    assert (document["differs"], document["concept"]) == ([], CONCEPT)
    corrected.write_text(record.read_text().replace("CC-BY-4.0", "CC0-1.0"))
    refused = run(store, "update", "bare@1.0.0", "--record", str(corrected))
    assert (refused.returncode, "'license' of a published version stays" in refused.stderr) == (
        4,
        True,
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "code"),
    [
        (["publish", "bare"], {}, 4),
        (["publish", "bare@9.9.9"], {}, 3),
        (["publish", "bare@1.0.0"], {"DATACITE_PASSWORD": ""}, 3),
        (["publish", "bare@1.0.0"], {"DATACITE_PASSWORD": "wrong-password"}, 6),
        (["publish", "bare@1.0.0", "--prefix", "10.5073"], {}, 6),
        (["update", "bare@1.0.0"], {}, 3),
        (["hide", "bare@1.0.0"], {}, 4),
        (["preview", "bare@1.0.0", "--prefix", "no prefix"], {}, 4),
        (["show"], {}, 2),
    ],
)
def test_each_failure_has_its_exit_code_and_shows_no_secret(
    store: Path, datacite: Double, arguments: list[str], environ: dict[str, str], code: int
) -> None:
    done = run(store, *arguments, **environ)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert "wrong-password" not in done.stderr
    assert datacite.dois == {}


def test_show_says_that_credentials_may_be_wrong_where_a_reserved_doi_is_not_seen(
    store: Path, datacite: Double
) -> None:
    there = ["bare@1.0.0", "--store", str(store)]
    assert "check DATACITE" not in CliRunner().invoke(show_command, there).stdout
    subprocess.run(command("doi", "draft", *there), check=True, capture_output=True)
    assert "draft at " in CliRunner().invoke(show_command, there).stdout
    wrong = {"DATACITE_PASSWORD": "wrong-password"}
    assert "check DATACITE" in CliRunner(env=wrong).invoke(show_command, there).stdout


def test_debug_shows_no_secret_either(store: Path, datacite: Double) -> None:
    datacite.faults = [Fault("status", 401, body=SECRET.encode(), times=9)]
    done = subprocess.run(
        [*command("--debug", "doi", "publish", "bare@1.0.0"), "--store", str(store)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, SECRET in done.stderr) == (6, False)
    assert "Traceback" in done.stderr


def test_credentials_come_from_the_environment_or_a_keyring() -> None:
    asked: list[tuple[str, str]] = []

    def keyring(service: str, user: str) -> str | None:
        asked.append((service, user))
        return "from-keyring" if user == "A.B" else None

    def found(**environ: str) -> Credentials:
        return credentials_of(environ, TEST, keyring=keyring)

    both = {"DATACITE_REPOSITORY": "A.B", "DATACITE_PASSWORD": "given"}
    assert found(**both).secret == "given"  # noqa: S105 - of this test
    assert found(DATACITE_REPOSITORY="A.B").secret == "from-keyring"  # noqa: S105
    assert asked == [(f"scidata {TEST}", "A.B")]
    assert found(DATACITE_API_KEY="DC.key", **both).authorization == "Bearer DC.key"
    assert "given" not in repr(found(**both))
    with pytest.raises(NotFoundError):
        found(DATACITE_REPOSITORY="C.D")
    with pytest.raises(NotFoundError):
        found()


def test_the_test_system_is_asked_unless_another_is_named() -> None:
    assert api_address(None, {}) == TEST
    assert api_address("production", {"DATACITE_API": "test"}) == PRODUCTION
    assert api_address(None, {"DATACITE_API": "https://x.example.org/"}) == (
        "https://x.example.org"
    )


def test_a_keyring_is_asked_by_service_and_user(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.__dict__["KeyringError"] = type("KeyringError", (Exception,), {})
    keyring.__dict__["get_password"] = lambda service, user: f"{service}/{user}"
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert credentials.from_keyring("scidata", "A.B") == "scidata/A.B"

    def locked(service: str, user: str) -> str:
        raise errors.__dict__["KeyringError"]

    keyring.__dict__["get_password"] = locked
    assert credentials.from_keyring("scidata", "A.B") is None


def test_without_a_keyring_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert credentials.from_keyring("scidata", "A.B") is None


def test_the_double_runs_as_a_program(store: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "SCIDATA_SCHEMAS": str(tmp_path)}
    program = [sys.executable, "-m", "scidata.testing.datacite"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("export DATACITE_API=http://127.0.0.1:")
        finally:
            process.terminate()
