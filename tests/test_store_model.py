"""A model of a store: whatever happens to it, in any order, its promises hold.

Publishing in full and as deltas, crashes at any operation, resuming, statuses, collection,
purges, mirrors, materializing, damage and repair, against what a dictionary says that the store
must hold. A longer run: ``SCIDATA_MODEL_EXAMPLES=2000 pytest tests/test_store_model.py``.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scidata.collecting import collect
from scidata.errors import ConflictError, IntegrityError
from scidata.inventory import read_history
from scidata.listing import read_listing
from scidata.marking import Mark, MarkOptions, mark
from scidata.materializing import materialize
from scidata.mirroring import MirrorOptions, mirror
from scidata.published import read_published
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.publishing.inheritance import Layout
from scidata.purging import PurgeOptions, purge
from scidata.repairing import repair
from scidata.resolve import resolve_any
from scidata.status import State
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, Fault, FaultyStore
from scidata.verifying import verify
from scidata.version import VersionNumber
from tests.samples import write_bare

EXAMPLES = int(os.environ.get("SCIDATA_MODEL_EXAMPLES", "12"))
STEPS = 20
NAMES = ("one.txt", "deep/two.txt", "deep/er/three.txt", "four.txt")
CATALOGS = {"index.yaml", "catalog.json", "bare/catalog.yaml", "bare/collection.json"}

# Deprecated and withdrawn versions are read all the time, of which every reader is warned.
pytestmark = pytest.mark.filterwarnings("ignore::scidata.warning.ScidataWarning")

Files = tuple[tuple[str, str], ...]
files = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("abc"), min_size=1).map(
    lambda found: tuple(sorted(found.items()))
)
layouts = st.sampled_from([None, "full", "delta"])
crashes: st.SearchStrategy[Fault] = st.sampled_from(["crash-before", "crash-after"])
moments = st.integers(1, 70)


@dataclass
class Version:
    """What the store must hold of one version."""

    files: Files
    digest: str
    prefixes: tuple[str, ...]
    whole: bool
    state: State = "active"


@dataclass
class Begun:
    """An upload that was killed."""

    files: Files
    layout: Layout | None


@dataclass
class Clock:
    """The time of the stores and of everybody who uses them."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now


class StoreModel(RuleBasedStateMachine):
    """Two stores, of which one mirrors the other, and what they must hold."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore("here", now=self.clock)
        self.copy = MemoryStore("there", now=self.clock)
        self.versions: dict[VersionNumber, Version] = {}
        self.begun: dict[VersionNumber, Begun] = {}
        self.mirrored: dict[VersionNumber, str] = {}
        self.fixed: dict[str, bytes] = {}
        """Every committed object, which must stay as it is."""
        self.around = Surroundings(now=self.clock, host="h", user="u", pid=1)

    # What is done

    @rule(chosen=files, step=st.integers(0, 2), layout=layouts)
    def publish(self, chosen: Files, step: int, layout: Layout | None) -> None:
        number = self.following(step)
        self.finish(number, self.allowed(Begun(chosen, layout)))

    @rule(chosen=files, step=st.integers(0, 2), layout=layouts, at=moments, fault=crashes)
    def crash_while_publishing(
        self, chosen: Files, step: int, layout: Layout | None, at: int, fault: Fault
    ) -> None:
        number, upload = self.following(step), self.allowed(Begun(chosen, layout))
        self.begin(number, upload, FaultyStore(self.store, at=at, fault=fault))

    @rule(chosen=files, step=st.integers(0, 2), layout=layouts, at=moments, fault=crashes)
    def crash_and_resume(
        self, chosen: Files, step: int, layout: Layout | None, at: int, fault: Fault
    ) -> None:
        number, upload = self.following(step), self.allowed(Begun(chosen, layout))
        twin = self.twin()
        self.put(number, upload, twin)
        self.begin(number, upload, FaultyStore(self.store, at=at, fault=fault))
        self.finish(number, upload)
        assert steady(self.store) == steady(twin), "not as if nothing had happened"

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.begun)))
        if any(number < other for other in self.versions):
            return  # a number that is too small is refused, which others test
        self.finish(number, self.begun[number])

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), chosen=files)
    def publish_other_data_over_a_killed_upload(
        self, data: st.DataObject, chosen: Files
    ) -> None:
        number = data.draw(st.sampled_from(sorted(self.begun)))
        if any(number < other for other in self.versions):
            return
        try:
            self.commit(number, Begun(chosen, None))
        except (ConflictError, IntegrityError):  # the remains stay; nobody is harmed
            assert number not in self.numbers(self.store)

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), chosen=files)
    def publish_under_a_number_that_is_taken(self, data: st.DataObject, chosen: Files) -> None:
        number = data.draw(st.sampled_from(sorted(self.versions)))
        version = self.versions[number]
        try:
            done = self.put(number, Begun(chosen, None), self.store)
        except ConflictError:
            assert version.state == "purged" or chosen != version.files
        else:
            assert done.already
            assert chosen == version.files

    @precondition(lambda self: self.kept())
    @rule(data=st.data(), state=st.sampled_from(["deprecated", "withdrawn", "active"]))
    def say_what_became_of_it(self, data: st.DataObject, state: State) -> None:
        number = data.draw(st.sampled_from(self.kept()))
        options = MarkOptions(surroundings=self.around)
        mark(f"bare@{number}", Mark(state=state, reason="r"), self.store, options=options)
        self.versions[number].state = state

    @rule(days=st.sampled_from([0.5, 6.5, 8]))
    def wait(self, days: float) -> None:
        self.clock.now += timedelta(days=days)

    @rule(at=st.integers(0, 40), fault=crashes)
    def collect(self, at: int, fault: Fault) -> None:
        faulty = FaultyStore(self.store, at=at, fault=fault)
        self.killed(lambda: collect(faulty, apply=True, surroundings=self.around))

    @precondition(lambda self: self.kept())
    @rule(data=st.data(), at=st.integers(0, 25), fault=crashes)
    def purge(self, data: st.DataObject, at: int, fault: Fault) -> None:
        number = data.draw(st.sampled_from(self.kept()))
        used = [n for n in self.kept() if n != number and self.relies(n, number)]
        options = PurgeOptions(surroundings=self.around)
        for store in (FaultyStore(self.store, at=at, fault=fault), self.store):
            before = dict(self.fixed)
            self.forget_payload(number)
            act = partial(purge, f"bare@{number}", "r", store, options=options)
            try:
                done = self.killed(act)
            except ConflictError:
                self.fixed = before
                assert used, "nobody relies on it"
                return
            assert not (done and used), "somebody relies on it"
            if done and at % 2:
                break
        self.versions[number].state = "purged"

    @precondition(lambda self: self.kept())
    @rule(data=st.data(), at=st.integers(0, 30), fault=crashes)
    def materialize(self, data: st.DataObject, at: int, fault: Fault) -> None:
        number = data.draw(st.sampled_from(self.kept()))
        faulty = FaultyStore(self.store, at=at, fault=fault)
        self.killed(lambda: materialize(f"bare@{number}", faulty))
        assert verify(f"bare@{number}", self.store).damage == ()
        materialize(f"bare@{number}", self.store)
        self.versions[number].whole = True
        self.fix(number)

    @precondition(lambda self: self.versions)
    @rule(at=st.integers(0, 80), fault=crashes)
    def mirror(self, at: int, fault: Fault) -> None:
        options = MirrorOptions(surroundings=self.around)
        for store in (FaultyStore(self.copy, at=at, fault=fault), self.copy):
            if not self.killed(partial(mirror, [], self.store, to=store, options=options)):
                self.compare_what_the_mirror_shows()
        for number, version in self.versions.items():
            self.mirrored[number] = "purged" if version.state == "purged" else "whole"
        assert self.numbers(self.copy) == set(self.versions)
        self.compare_what_the_mirror_shows()

    @precondition(lambda self: self.kept())
    @rule(data=st.data())
    def damage_and_repair(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.kept()))
        path = data.draw(st.sampled_from([name for name, _ in self.versions[number].files]))
        found = read_published(self.store, resolve_any(f"bare@{number}", self.store))
        key = found.locations.of(f"data/{path}").key
        sound = self.store.read(key)
        self.store.replace(key, b"?" * len(sound))
        assert [d.path for d in verify(f"bare@{number}", self.store).damage] == [f"data/{path}"]
        if self.mirrored.get(number) == "whole":
            done = repair(f"bare@{number}", self.copy, self.store, replace_damaged=True)
            assert done.sound
        else:
            self.store.replace(key, sound)
        assert self.store.read(key) == sound

    # What must hold

    @invariant()
    def committed_objects_never_change(self) -> None:
        held = {facts.key for facts in self.store.list()}
        for key, data in self.fixed.items():
            assert key in held, f"{key} is gone"
            assert self.store.read(key) == data, f"{key} has changed"

    @invariant()
    def what_is_listed_is_what_was_committed(self) -> None:
        assert self.numbers(self.store) == set(self.versions)

    def teardown(self) -> None:
        listed = read_listing(self.store).versions.get("bare", ()) if self.versions else ()
        assert {commit.number for commit in listed} == set(self.versions)
        for number, version in self.versions.items():
            commit = resolve_any(f"bare@{number}", self.store)
            assert commit.digest == version.digest
            state = read_history(self.store, "bare", number).state
            assert state == version.state
            if state != "purged":
                assert verify(f"bare@{number}", self.store).damage == ()
                assert contents(self.store, number) == version.files
        for number, how in self.mirrored.items():
            assert (
                resolve_any(f"bare@{number}", self.copy).digest == self.versions[number].digest
            )
            if how == "whole":
                assert verify(f"bare@{number}", self.copy).damage == ()
                assert contents(self.copy, number) == self.versions[number].files

    # How the model knows

    def following(self, step: int) -> VersionNumber:
        """Return a number that nobody has taken or begun."""
        taken = [*self.versions, *self.begun]
        if not taken:
            return VersionNumber(1, 0, 0)
        top = max(taken)
        return (
            VersionNumber(top.major, top.minor, top.patch + 1),
            VersionNumber(top.major, top.minor + 1, 0),
            VersionNumber(top.major + 1, 0, 0),
        )[step]

    def kept(self) -> list[VersionNumber]:
        return sorted(n for n, version in self.versions.items() if version.state != "purged")

    def allowed(self, upload: Begun) -> Begun:
        """Take back a wish for a delta where there is nothing to inherit."""
        return upload if self.kept() else replace(upload, layout=None)

    def relies(self, number: VersionNumber, older: VersionNumber) -> bool:
        version = self.versions[number]
        return f"v{older}" in version.prefixes and not version.whole

    def numbers(self, store: MemoryStore) -> set[VersionNumber]:
        below = [f.key.removeprefix("bare/versions/") for f in store.list("bare/versions/")]
        names = [key.removesuffix(".json") for key in below]
        return {VersionNumber.parse(name) for name in names if name.count(".") == 2}

    def put(self, number: VersionNumber, upload: Begun, store: MemoryStore | FaultyStore):  # type: ignore[no-untyped-def]  # as publish
        options = PublishOptions(layout=upload.layout, surroundings=self.around)
        return publish(self.staged(upload.files), store, version=str(number), options=options)

    def begin(self, number: VersionNumber, upload: Begun, faulty: FaultyStore) -> None:
        self.begun[number] = upload
        self.killed(lambda: self.put(number, upload, faulty))
        if number in self.numbers(self.store):  # the crash came after the commit
            self.note(number, upload)

    def finish(self, number: VersionNumber, upload: Begun) -> None:
        """Publish or continue; only what a purge took away may hinder it."""
        try:
            self.commit(number, upload)
        except (ConflictError, IntegrityError):
            assert number in self.begun
            assert any(version.state == "purged" for version in self.versions.values())

    def commit(self, number: VersionNumber, upload: Begun) -> None:
        self.put(number, upload, self.store)
        if number not in self.versions:
            self.note(number, upload)

    def note(self, number: VersionNumber, upload: Begun) -> None:
        commit = resolve_any(f"bare@{number}", self.store)
        self.begun.pop(number, None)
        self.versions[number] = Version(
            files=upload.files,
            digest=commit.digest,
            prefixes=commit.prefixes,
            whole=len(commit.prefixes) == 1,
        )
        assert contents(self.store, number) == upload.files
        self.fix(number)

    def fix(self, number: VersionNumber) -> None:
        for prefix in (
            f"bare/v{number}/",
            f"bare/versions/{number}.",
            f"bare/catalog-{number}.",
        ):
            for facts in self.store.list(prefix):
                self.fixed.setdefault(facts.key, self.store.read(facts.key))

    def forget_payload(self, number: VersionNumber) -> None:
        for key in [key for key in self.fixed if key.startswith(f"bare/v{number}/data/")]:
            del self.fixed[key]

    def compare_what_the_mirror_shows(self) -> None:
        """Whatever a mirror shows, whenever it was killed, is as good as it says."""
        for number in self.numbers(self.copy):
            version = self.versions[number]
            assert resolve_any(f"bare@{number}", self.copy).digest == version.digest
            said = read_history(self.copy, "bare", number).state
            if number not in self.mirrored:
                assert said == version.state, "offered as better than it is"
            if said != "purged":
                assert verify(f"bare@{number}", self.copy).damage == ()

    def twin(self) -> MemoryStore:
        twin = MemoryStore("here", now=self.clock)
        for facts in self.store.list():
            twin.replace(facts.key, self.store.read(facts.key))
        return twin

    def staged(self, chosen: Files) -> Path:
        path = self.folder / "-".join(f"{NAMES.index(name)}{text}" for name, text in chosen)
        if not path.exists():
            write_bare(path)
            shutil.rmtree(path / "data")
            for name, text in chosen:
                (path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
                (path / "data" / name).write_text(text)
        return path

    def killed(self, act: Callable[[], object]) -> bool:
        """Act; tell whether it was not killed."""
        try:
            act()
        except Crash:
            return False
        return True


def contents(store: MemoryStore, number: VersionNumber) -> Files:
    """Return the files of a version as a reader gets them."""
    found = read_published(store, resolve_any(f"bare@{number}", store))
    return tuple(
        (path.removeprefix("data/"), store.read(found.locations.of(path).key).decode())
        for path in sorted(found.manifest)
    )


def steady(store: MemoryStore) -> dict[str, bytes]:
    """Return what a store holds, but claims, probes, and the random id of each commit."""
    held = {}
    for facts in store.list():
        if "/claims/" in facts.key or facts.key.startswith(".scidata-probe/"):
            continue
        lines = store.read(facts.key).splitlines()
        held[facts.key] = b"\n".join(line for line in lines if b'"commit_id"' not in line)
    return held


@pytest.mark.slow
def test_whatever_happens_to_a_store_its_promises_hold(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    class Machine(StoreModel):
        folder = tmp_path_factory.mktemp("model")

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
            ],
            # The steps are few enough to be read as they are; shrinking would take minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
