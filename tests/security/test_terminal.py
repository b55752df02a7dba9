"""Attack: names and texts out of a store that command the terminal they are printed on.

Promise: whatever a terminal would obey is written out, in text, in JSON and in errors.
"""

from pathlib import Path

import pytest

from scidata.cli.root import main
from scidata.storage import open_store
from scidata.version import commit_bytes
from scidata.wording import printable
from tests.security.attack import run
from tests.versions import write_version

ESCAPES = {
    "clear the screen": "\x1b[2J",
    "set the title": "\x1b]0;owned\x07",
    "write the clipboard": "\x1b]52;c;aGVsbG8=\x07",
    "go back": "sound\rdamaged",
    "a new line": "x\nsound  tiny@1.0.0",
    "eight-bit escape": "\x9b2J",
    "backwards": "\u202egnp",
    "a line of Unicode": "a\u2028b",
    "delete": "\x7f\x08",
}


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_no_text_of_a_store_commands_the_terminal(
    text: str,
    options: list[str],
    staged: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = open_store(tmp_path / "store")
    commit = write_version(store, staged)
    hostile = commit.model_copy(update={"created": text, "tool": text})
    store.replace("tiny/versions/1.0.0.json", commit_bytes(hostile))
    store.create("tiny/v1.0.0/x", b"")
    (tmp_path / "store/tiny/v1.0.0" / text.replace("/", "")).write_bytes(b"")
    for words in (["list"], ["list", "tiny"], ["show", "tiny"], ["verify", "tiny"]):
        with pytest.raises(SystemExit):
            main([*words, "--store", str(tmp_path / "store"), *options])
        for stream in capsys.readouterr():
            for line in stream.split("\n"):
                assert line == printable(line)
                assert not line.startswith("sound  tiny@1.0.0")


if __name__ == "__main__":
    run(__file__)
