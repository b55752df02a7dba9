"""Publishers that meet: real processes, on a folder and on S3. One wins; nothing is mixed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from scidata.publishing import publish
from scidata.resolve import list_versions, resolve
from scidata.storage import open_store
from scidata.verifying import verify
from tests.samples import write_bare

WRITERS = 8
CONFLICT = 7
# Everything is imported before the start signal, so that the processes really meet.
PUBLISHER = """
import sys, time
from pathlib import Path
import obstore, scidata.publishing, scidata.cli.publish
from scidata.cli import main
Path(sys.argv[1] + "." + sys.argv[2]).touch()
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
main(["publish", *sys.argv[3:]])
"""
# As `PUBLISHER`, but all have looked at the store before any of them writes.
SURVEYOR = """
import sys, time
from pathlib import Path
import obstore, scidata.publishing as publishing, scidata.cli.publish
from scidata.cli import main
prepare = publishing.prepare
def meeting(*words, **options):
    found = prepare(*words, **options)
    Path(sys.argv[1] + "." + sys.argv[2]).touch()
    while not Path(sys.argv[1]).exists():
        time.sleep(0.001)
    return found
publishing.prepare = meeting
main(["publish", *sys.argv[3:]])
"""
CREATOR = """
import sys, time
from pathlib import Path
from scidata.storage import open_store
store = open_store(sys.argv[3])
Path(sys.argv[1] + "." + sys.argv[2]).touch()
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
won = [n for n in range(40) if store.create(f"race/{n}", sys.argv[2].encode() * 1000)]
print(*won)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    s3: str = request.getfixturevalue("s3_url")
    return s3


def race(
    program: str, arguments: Sequence[Sequence[str]], start: Path
) -> list[tuple[int, str]]:
    """Run processes that wait for a file to appear, and return exit codes and outputs."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(start), str(number), *own],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, own in enumerate(arguments)
    ]
    deadline = time.monotonic() + 60
    while len(list(start.parent.glob(f"{start.name}.*"))) < len(processes):
        assert time.monotonic() < deadline, [p.poll() for p in processes]
        time.sleep(0.01)
    start.touch()
    ends = [process.communicate(timeout=120) for process in processes]
    return [(p.returncode, out + err) for p, (out, err) in zip(processes, ends, strict=True)]


def publishers(tmp_path: Path, url: str, *options: str) -> list[list[str]]:
    return [
        [str(write_bare(tmp_path / f"writer-{n}", f"writer {n}")), "--store", url, *options]
        for n in range(WRITERS)
    ]


def test_of_racing_publishers_one_commits_and_the_others_are_told(
    url: str, tmp_path: Path
) -> None:
    own = publishers(tmp_path, url, "--version", "1.0.0")
    ends = race(PUBLISHER, own, tmp_path / "start")
    assert sorted(code for code, _ in ends) == [0] + [CONFLICT] * (WRITERS - 1), "".join(
        t for _, t in ends
    )
    assert all("bare" in text and "Traceback" not in text for _, text in ends)
    assert len(list_versions("bare", url)) == 1
    assert verify("bare@1.0.0", url).damage == ()


def test_deltas_that_race_for_one_number_or_for_several_are_all_sound(
    url: str, tmp_path: Path
) -> None:
    publish(write_bare(tmp_path / "first", "first"), open_store(url), version="1.0.0")
    numbers = ["1.1.0"] * 4 + [f"1.{minor}.0" for minor in range(2, 6)]
    own = [
        [*words, "--version", number]
        for words, number in zip(publishers(tmp_path, url, "--delta"), numbers, strict=True)
    ]
    for writer, words in enumerate(own):  # something to inherit, and something of one's own
        (Path(words[0]) / "data/deep/two.txt").write_text("two first\n")
        assert f"writer {writer}" in (Path(words[0]) / "data/one.txt").read_text()
    ends = race(SURVEYOR, own, tmp_path / "start")
    codes = [code for code, _ in ends]
    assert sorted(codes[:4]) == [0] + [CONFLICT] * 3, ends
    assert codes[4:] == [0] * 4, ends
    assert {c.version for c in list_versions("bare", url)} == {"1.0.0", *numbers}
    for number in set(numbers):
        assert verify(f"bare@{number}", url).damage == ()
        assert resolve(f"bare@{number}", url).prefixes == ("v1.0.0", f"v{number}")


def test_publishers_that_all_take_over_cannot_harm_a_version(url: str, tmp_path: Path) -> None:
    own = publishers(tmp_path, url, "--version", "1.0.0", "--takeover")[:3]
    ends = race(PUBLISHER, own, tmp_path / "start")
    codes = [code for code, _ in ends]
    assert set(codes) <= {0, CONFLICT}, ends
    assert codes.count(0) <= 1, ends
    if codes.count(0):
        assert verify("bare@1.0.0", url).damage == ()
    else:  # each owns some keys: all stop, nothing is published
        assert list(open_store(url).list("bare/versions/")) == []


def test_of_racing_processes_exactly_one_creates_each_object(url: str, tmp_path: Path) -> None:
    ends = race(CREATOR, [[url]] * 4, tmp_path / "start")
    won = [number for _, text in ends for number in text.split()]
    assert sorted(won, key=int) == [str(number) for number in range(40)], ends
    store = open_store(url)
    for writer, (_, text) in enumerate(ends):
        for number in text.split():
            assert store.read(f"race/{number}") == str(writer).encode() * 1000
