"""Attack: a server, an address or an error that brings a credential to light.

Promise: neither key, secret, token nor password appears in a file of a version, in a message,
in --json, with --debug, or in the traceback of a bug; not even if the server echoes it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scidata.cli.root import main
from scidata.publishing import publish
from scidata.storage import open_store
from scidata.wording import discreet
from tests.security.attack import run
from tests.security.servers import answering

KEY, SECRET, TOKEN = (
    "AKIAQ7EXAMPLE3KEYS2Z",
    "s3cr3t/abcdEFGHijkl+example",
    "FwoGZXIvYXdzEXAMPLE==",
)
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
}
SHOWN = (KEY, SECRET, TOKEN)
CARRIERS = (
    "https://me:hunter2hunter2@host/x",
    "https://host/x?X-Amz-Signature=hunter2hunter2",
    "https://host/x#hunter2hunter2",
    "s3://me:hunter2hunter2@bucket/x",
    "s3://bucket/x?token=hunter2hunter2",
)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def said_by(words: list[str], environ: Mapping[str, str], *, program: str = "") -> str:
    """Everything a run of scidata prints; it must have failed with one of its exit codes."""
    program = program or "from scidata.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {1, 3, 4, 5, 6}, done.stderr
    assert done.stderr
    return done.stdout + done.stderr


ECHOES: dict[str, tuple[int, bytes]] = {
    "in a code": (403, b"<Error><Code>" + KEY.encode() + b"</Code></Error>"),
    "in a message": (
        403,
        b"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>%HEADERS%</StringToSign></Error>",
    ),
    "in a failure": (500, b"<Error><Code>" + TOKEN.encode() + b"</Code>%HEADERS%</Error>"),
    "in a commit record": (200, b'{"format": "%HEADERS%", "AKIA": "' + KEY.encode() + b'"}'),
    "as another format": (200, b'{"format": "' + KEY.encode() + b'"}'),
}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES)
def test_a_server_that_echoes_what_it_was_sent_does_not_bring_it_to_light(
    status: int, body: bytes, options: list[str]
) -> None:
    seen: list[tuple[str, dict[str, str]]] = []
    with answering(status, {"Content-Type": "application/xml"}, body, seen=seen) as url:
        words = ["show", "tiny@1.0.0", "--store", "s3://bucket/x", "--endpoint-url", url]
        said = said_by(["--debug", *words, *options], CREDENTIALS)
    assert any(KEY in headers.get("authorization", "") for _, headers in seen)  # it was sent
    assert [word for word in SHOWN if word in said] == []


def test_the_traceback_of_a_bug_shows_no_credential_and_no_escape() -> None:
    program = (
        "import sys, scidata.cli.root as root\n"
        "def broken(*a, **k): raise KeyError('https://me:hunter2hunter2@host/x?X-Amz-Signature="
        f"00ffee {SECRET} \\x1b[2J')\n"
        "root.cli.main = broken\n"
        "root.main([])"
    )
    said = said_by([], CREDENTIALS, program=program)
    assert "Traceback" in said
    assert "KeyError" in said
    for secret in (*SHOWN, "hunter2", "00ffee", "\x1b"):
        assert secret not in said


@pytest.mark.parametrize("url", CARRIERS)
@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
def test_an_address_with_a_credential_is_refused_and_not_repeated(
    url: str, debug: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["list", "--store", url],
        ["list", "--store", "s3://b", "--endpoint-url", url],
    ):
        with pytest.raises(SystemExit) as caught:
            main([*debug, *words])
        assert caught.value.code in {3, 4, 6}
        assert "hunter2" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("url", ["data.example.org", *CARRIERS])
def test_an_address_that_files_would_hold_for_ever_is_refused_first(
    url: str, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to, folder = ["--store", str(tmp_path / "store")], str(staged)
    for words in (
        ["publish", folder, "--version", "1.0.0", "--fetch-from", url, *to],
        ["export", folder, "--to", "dcat", "--version", "1.0.0", "--base-url", url],
        ["site", *to[1:], "--out", str(tmp_path / "site"), "--base-url", url],
    ):
        with pytest.raises(SystemExit) as caught:
            main(words)
        told = "".join(capsys.readouterr())
        assert (caught.value.code, "where: " + words[words.index(url) - 1] in told) == (4, True)
        assert "hunter2" not in told
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("credentials")
def test_no_file_of_a_published_version_holds_a_credential(
    staged: Path, tmp_path: Path
) -> None:
    publish(staged, open_store(tmp_path / "store"), version="1.0.0")
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert [word for word in SHOWN if word.encode() in data] == [], path


@pytest.mark.parametrize(
    "text",
    [
        "ftp://me:pw@host/",
        "s3://key:pw@bucket",
        "https://h/?a=1&X-Amz-Security-Token=pw&b",
        "https://h/?access_token=pw",
        "https://h/?sig=pw",
        "x-amz https://h/?X-Amz-Credential=pw",
    ],
)
def test_what_is_secret_in_an_address_is_left_out_wherever_it_stands(text: str) -> None:
    assert "pw" not in discreet(f"error: {text} failed", {})
    assert "failed" in discreet(f"error: {text} failed", {})


if __name__ == "__main__":
    run(__file__)
