"""Progress of a transfer: bytes, rate, time left, and files; on a terminal only."""

import io
import time
from pathlib import Path

import pytest

from scidata.cli.output import progress_bar
from scidata.cli.progress import Bar
from scidata.publishing import publish
from scidata.pulling import pull
from scidata.storage.memory import MemoryStore


class Noting:
    """A progress that notes what it is told."""

    def __init__(self) -> None:
        self.bytes: list[tuple[int, int]] = []
        self.counts: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.bytes.append((done, total))

    def files(self, done: int, total: int) -> None:
        self.counts.append((done, total))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_publish_and_pull_tell_how_many_files_are_done(bare: Path, tmp_path: Path) -> None:
    store, up, down = MemoryStore(), Noting(), Noting()
    published = publish(bare, store, version="1.0.0", progress=up)
    pulled = pull("bare@1.0.0", tmp_path / "out", store, progress=down)
    for told, files in ((up.counts, published.uploaded), (down.counts, pulled.files)):
        assert told == [(number, files) for number in range(1, files + 1)]
    assert up.bytes[-1][0] == up.bytes[-1][1]
    assert down.bytes[-1] == (pulled.bytes, pulled.bytes)


def test_the_bar_shows_bytes_rate_time_left_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("sys.stderr", terminal)
    with Bar("pull x@1.0.0", unit="B") as bar:
        for done in (1, 2, 3):
            bar(done * 10**6, 10**7)
            bar.files(done, 1200)
            time.sleep(0.05)
    shown = terminal.getvalue()
    assert "3.0/10.0 MB" in shown
    assert "MB/s" in shown
    assert "3/1,200 files" in shown
    assert "0:00:0" in shown


def test_nothing_is_shown_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("pull", shown=True) as progress:
        progress(1, 2)
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress_bar("pull", shown=False) as progress:
        progress(1, 2)
    assert capfd.readouterr() == ("", "")
