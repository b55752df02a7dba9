"""Real processes, really killed: the same command again ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scidata.collecting import collect
from scidata.inventory import list_datasets
from scidata.locations import is_full
from scidata.publishing import PublishOptions, publish
from scidata.resolve import list_versions, resolve
from scidata.storage.local import LocalStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.samples import write_bare
from tests.versions import lasting

MANY = 60
"""Files that a command sends, copies or removes; eight threads are at it when it is killed."""

# Kills its own process, with every thread in the middle of whatever it does.
DYING = """
import itertools, os, signal, sys
from scidata.cli import main
from scidata.storage.local import LocalStore
count = itertools.count(1)
def dying(act):
    def acting(self, *words, **options):
        if next(count) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        return act(self, *words, **options)
    return acting
for verb in ("create", "copy", "delete"):
    setattr(LocalStore, verb, dying(getattr(LocalStore, verb)))
main(sys.argv[2:])
"""
SCIDATA = [sys.executable, "-c", "from scidata.cli import main; main()"]

pytestmark = pytest.mark.slow


def stage(folder: Path, text: str) -> Path:
    write_bare(folder, text)
    for name in ("kept", "new"):
        (folder / "data" / name).mkdir()
    for number in range(MANY):
        (folder / "data/kept" / f"{number}.bin").write_bytes(bytes([number]) * 5000)
        (folder / "data/new" / f"{number}.bin").write_bytes(f"{text} {number}".encode() * 500)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``store`` with bare@1.0.0, a delta of it, and an upload that was killed long ago."""
    folder = tmp_path_factory.mktemp("here")
    store = LocalStore(folder / "store")
    publish(stage(folder / "a", "a"), store, version="1.0.0")
    delta = PublishOptions(layout="delta")
    publish(stage(folder / "b", "b"), store, version="1.1.0", options=delta)
    dying = FaultyStore(store, at=1, only=("create",), key="versions/2.0.0.json")
    with pytest.raises(Crash):
        publish(stage(folder / "c", "c"), dying, version="2.0.0")
    for path in (folder / "store/bare").rglob("*2.0.0*"):
        for file in [path, *path.rglob("*")]:
            os.utime(file, (1, 1))
    return folder


COMMANDS = {
    "delta": ["publish", "{here}/c", "--version", "1.2.0", "--delta", "--store", "{store}"],
    "materialize": ["materialize", "bare@1.1.0", "--store", "{store}"],
    "gc": ["gc", "--apply", "--store", "{store}"],
    "mirror": ["mirror", "--all", "--store", "{here}/store", "--to", "{store}"],
}


def done(name: str, store: LocalStore) -> bool:
    """Tell whether a command has come to its end."""
    if name == "delta":
        return any(c.version == "1.2.0" for c in list_versions("bare", store))
    if name == "materialize":
        return is_full(store, resolve("bare@1.1.0", store))
    if name == "gc":
        return not list(store.list("bare/claims/2.0.0."))
    return bool(list_datasets(store)) and len(list_versions("bare", store)) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_continued_by_the_same_command(
    name: str, here: Path, tmp_path: Path
) -> None:
    def run(program: list[str], root: Path) -> subprocess.CompletedProcess[str]:
        words = [word.format(here=here, store=root) for word in COMMANDS[name]]
        return subprocess.run([*program, *words], capture_output=True, text=True, check=False)

    for root in (tmp_path / "undisturbed", tmp_path / "killed"):
        if name != "mirror":
            shutil.copytree(here / "store", root)
    whole = run(SCIDATA, tmp_path / "undisturbed")
    assert whole.returncode == 0, whole.stderr
    killed = run([sys.executable, "-c", DYING, str(MANY // 2)], tmp_path / "killed")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    store = LocalStore(tmp_path / "killed")
    assert not done(name, store)
    if name != "mirror":
        for version in ("bare@1.0.0", "bare@1.1.0"):
            assert verify(version, store).damage == ()
    before = lasting(store)
    again = run(SCIDATA, tmp_path / "killed")
    assert again.returncode == 0, again.stderr
    assert done(name, store)
    wanted = lasting(LocalStore(tmp_path / "undisturbed"))
    assert lasting(store) == wanted
    assert before != wanted
    collect(store)
