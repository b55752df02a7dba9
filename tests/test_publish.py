"""Publishing: what it writes, what it refuses, and how it continues."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from scidata.cli.publish import command
from scidata.digest import Digest
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.measure import measure
from scidata.publishing import Plan, plan_publish, publish
from scidata.publishing.plain import plain_commands
from scidata.publishing.plan import Version, plan
from scidata.publishing.upload import commit
from scidata.storage import open_store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import FaultyStore
from scidata.verifying import verify
from scidata.version import CommitRecord
from tests.samples import record_fields, write_bare

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def keys(store: MemoryStore, prefix: str = "") -> list[str]:
    return [facts.key for facts in store.list(prefix)]


# What is written


def test_a_published_version_is_a_bag_with_a_commit_record_a_claim_and_catalogs(
    staged: Path, store: MemoryStore
) -> None:
    published = publish(staged, store, version="1.0.0")
    written = set(keys(store))
    assert {
        "tiny/versions/1.0.0.json",
        "tiny/claims/1.0.0.json",
        "tiny/catalog-1.0.0.yaml",
        "tiny/v1.0.0/bagit.txt",
        "tiny/v1.0.0/manifest-sha256.txt",
        "tiny/v1.0.0/meta/record.yaml",
        "tiny/v1.0.0/data/table.parquet",
        "index.yaml",
        "catalog.json",
    } <= written
    assert not published.already
    assert published.warnings == ()
    assert published.commit.unsafe_store is False
    assert published.commit.digest == str(
        Digest.of(store.read("tiny/v1.0.0/manifest-sha256.txt"))
    )


def test_nothing_but_the_version_its_claim_and_catalogs_is_left_in_the_store(
    bare: Path, store: MemoryStore
) -> None:
    publish(bare, store, version="1.0.0")
    roots = {key.split("/")[0] for key in keys(store)}
    assert roots == {"bare", "index.yaml", "catalog.json"}


def test_a_record_in_the_place_of_a_staged_dataset_is_refused(
    staged: Path, store: MemoryStore
) -> None:
    with pytest.raises(InvalidError, match="is a file, not a staged dataset") as caught:
        publish(staged / "record.yaml", store, version="1.0.0")
    assert "the folder that holds record.yaml and data/" in caught.value.fix


def test_a_store_in_the_data_that_it_is_to_hold_is_refused(staged: Path) -> None:
    with pytest.raises(InvalidError, match=r"the store lies in '.*data', the files of which"):
        publish(staged, staged / "data" / "store", version="1.0.0")
    assert not (staged / "data" / "store").exists()


def test_a_published_version_verifies(staged: Path, tmp_path: Path) -> None:
    publish(str(staged), str(tmp_path / "store"), version="1.0.0")
    assert verify("tiny@1.0.0", tmp_path / "store").damage == ()


def test_the_second_version_names_the_first_as_its_parent(
    bare: Path, store: MemoryStore
) -> None:
    first = publish(bare, store, version="1.0.0").commit
    (bare / "data" / "three.txt").write_text("three\n")
    second = publish(bare, store, version="1.1.0").commit
    assert second.parent is not None
    assert (second.parent.version, second.parent.digest) == ("1.0.0", first.digest)


def test_the_staged_dataset_is_only_read(bare: Path, store: MemoryStore) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in bare.rglob("*")}
    publish(bare, store, version="1.0.0")
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in bare.rglob("*")} == before


def test_a_store_that_cannot_delete_is_good_enough(bare: Path) -> None:
    memory = MemoryStore()

    class NoDelete(FaultyStore):
        def delete(self, key: str) -> None:
            raise StorageError("AccessDenied", where=key, fix="ask")

    published = publish(bare, NoDelete(memory), version="1.0.0")
    assert published.warnings == ()
    assert verify("bare@1.0.0", memory).damage == ()


# Publishing what exists


def test_publishing_the_same_again_says_so_and_changes_nothing(
    bare: Path, store: MemoryStore
) -> None:
    first = publish(bare, store, version="1.0.0")
    before = {key: store.read(key) for key in keys(store)}
    again = publish(bare, store, version="1.0.0")
    assert again.already
    assert (again.commit, again.uploaded) == (first.commit, 0)
    assert {key: store.read(key) for key in keys(store)} == before


def test_publishing_other_data_under_the_same_number_is_a_conflict(
    bare: Path, store: MemoryStore
) -> None:
    publish(bare, store, version="1.0.0")
    before = {key: store.read(key) for key in keys(store)}
    (bare / "data" / "one.txt").write_text("other\n")
    with pytest.raises(ConflictError, match="published with other data") as caught:
        publish(bare, store, version="1.0.0")
    assert "next version number" in caught.value.fix
    assert {key: store.read(key) for key in keys(store)} == before


def test_a_record_changed_after_publishing_is_pointed_out(
    bare: Path, store: MemoryStore
) -> None:
    publish(bare, store, version="1.0.0")
    fields = yaml.safe_load((bare / "record.yaml").read_text())
    (bare / "record.yaml").write_text(yaml.safe_dump(fields | {"title": "Another title"}))
    assert "record.yaml differs" in publish(bare, store, version="1.0.0").warnings[0]


def test_publishing_again_rebuilds_catalogs_that_were_lost(
    bare: Path, store: MemoryStore
) -> None:
    publish(bare, store, version="1.0.0")
    store.delete("index.yaml")
    publish(bare, store, version="1.0.0")
    assert "index.yaml" in keys(store)


# What is refused before anything is written


@pytest.mark.parametrize("version", ["0.9.0", "1.0.9"])
def test_a_number_older_than_the_newest_is_invalid(
    bare: Path, store: MemoryStore, version: str
) -> None:
    publish(bare, store, version="1.1.0")
    with pytest.raises(InvalidError, match=r"older than 1\.1\.0") as caught:
        publish(bare, store, version=version)
    assert "1.1.1" in caught.value.fix


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0", "01.0.0", "latest", "1.0.0/../x"])
def test_a_malformed_number_is_invalid(bare: Path, store: MemoryStore, version: str) -> None:
    with pytest.raises(InvalidError, match="not a version number"):
        publish(bare, store, version=version)
    assert keys(store) == []


def test_every_problem_of_a_record_is_reported_at_once(bare: Path, store: MemoryStore) -> None:
    fields = record_fields() | {"license": "not a licence", "keywords": 7, "titel": "x"}
    (bare / "record.yaml").write_text(yaml.safe_dump(fields))
    with pytest.raises(InvalidError) as caught:
        publish(bare, store, version="1.0.0")
    places = " ".join(problem.path for problem in caught.value.problems)
    assert all(name in places for name in ("license", "keywords", "titel"))
    assert keys(store) == []


def test_a_folder_that_is_no_staged_dataset_is_refused(
    tmp_path: Path, store: MemoryStore
) -> None:
    with pytest.raises(NotFoundError, match=r"record\.yaml"):
        publish(tmp_path, store, version="1.0.0")
    with pytest.raises(InvalidError):
        publish(write_bare(tmp_path / "x") / "record.yaml", store, version="1.0.0")


def test_links_and_leftovers_in_the_data_are_refused(bare: Path, store: MemoryStore) -> None:
    (bare / "data" / "link").symlink_to("/etc/passwd")
    (bare / "data" / ".DS_Store").write_bytes(b"")
    with pytest.raises(InvalidError) as caught:
        publish(bare, store, version="1.0.0")
    assert {problem.path for problem in caught.value.problems} >= {
        "data/link",
        "data/.DS_Store",
    }
    assert keys(store) == []


def test_https_is_refused_as_read_only(bare: Path, http_folder: tuple[str, Path]) -> None:
    with pytest.raises(StorageError, match="read-only"):
        publish(bare, http_folder[0], version="1.0.0")


# Changes while publishing


def test_a_file_that_changes_before_its_upload_stops_the_publication(bare: Path) -> None:
    class Meddler(FaultyStore):
        def list(self, prefix: str = ""):  # type: ignore[no-untyped-def]  # as the base's
            if prefix.endswith("v1.0.0/"):
                (bare / "data" / "one.txt").write_text("one b\n")
            return super().list(prefix)

    memory = MemoryStore()
    with pytest.raises(IntegrityError, match="changed"):
        publish(bare, Meddler(memory), version="1.0.0")
    assert keys(memory, "bare/versions/") == []
    assert "bare/v1.0.0/data/one.txt" not in keys(memory)


def test_a_file_that_changes_after_its_upload_stops_the_publication(bare: Path) -> None:
    class Meddler(FaultyStore):
        def create(
            self, key: str, source: bytes | Path, *, digest: Digest | None = None
        ) -> bool:
            created = super().create(key, source, digest=digest)
            if key.endswith("one.txt"):
                (bare / "data" / "one.txt").write_text("longer than it was\n")
            return created

    memory = MemoryStore()
    with pytest.raises(IntegrityError, match="changed while they were published"):
        publish(bare, Meddler(memory), version="1.0.0")
    assert keys(memory, "bare/versions/") == []


def test_a_stranger_under_the_prefix_is_a_conflict_and_stays(
    bare: Path, store: MemoryStore
) -> None:
    store.create("bare/v1.0.0/data/stranger.txt", b"?")
    with pytest.raises(ConflictError, match=r"stranger\.txt") as caught:
        publish(bare, store, version="1.0.0")
    assert "next version number" in caught.value.fix
    assert keys(store, "bare/versions/") == []
    assert store.read("bare/v1.0.0/data/stranger.txt") == b"?"


@pytest.mark.parametrize("content", [b"one X\n", b"of another size"])
def test_other_bytes_under_a_key_are_a_conflict_and_never_overwritten(
    bare: Path, store: MemoryStore, content: bytes
) -> None:
    store.create("bare/v1.0.0/data/one.txt", content)
    with pytest.raises(ConflictError):
        publish(bare, store, version="1.0.0")
    assert store.read("bare/v1.0.0/data/one.txt") == content
    assert keys(store, "bare/versions/") == []


def test_an_object_that_the_store_lost_stops_the_publication(bare: Path) -> None:
    class Forgetful(FaultyStore):
        def create(
            self, key: str, source: bytes | Path, *, digest: Digest | None = None
        ) -> bool:
            return True if key.endswith("two.txt") else super().create(key, source)

    memory = MemoryStore()
    with pytest.raises(StorageError, match=r"not listed, first .*two\.txt"):
        publish(bare, Forgetful(memory), version="1.0.0")
    assert keys(memory, "bare/versions/") == []


def test_a_stranger_that_arrives_during_the_upload_stops_the_publication(bare: Path) -> None:
    class Busy(FaultyStore):
        def create(
            self, key: str, source: bytes | Path, *, digest: Digest | None = None
        ) -> bool:
            if key.endswith("two.txt"):
                self.store.create("bare/v1.0.0/data/stranger.txt", b"?")
            return super().create(key, source, digest=digest)

    memory = MemoryStore()
    with pytest.raises(ConflictError, match=r"stranger\.txt"):
        publish(bare, Busy(memory), version="1.0.0")
    assert keys(memory, "bare/versions/") == []


def test_a_commit_that_loses_against_other_data_is_a_conflict(
    bare: Path, store: MemoryStore
) -> None:
    ours = publish(bare, store, version="1.0.0").commit
    theirs = ours.model_copy(update={"digest": str(Digest.of(b"other")), "commit_id": "x"})
    with pytest.raises(ConflictError, match="somebody else published") as caught:
        commit(store, theirs)
    assert ours.digest in str(caught.value)
    assert commit(store, ours.model_copy(update={"commit_id": "y"})) == ours


# The plan, and the command line


def test_a_version_of_too_many_assets_for_its_commit_record_is_refused_by_the_plan(
    bare: Path,
) -> None:
    measured = measure(bare, dataset="bare", version="1.0.0", created="2026-01-01T00:00:00Z")
    many = measured.facts.assets * 200
    version = Version(
        staged=bare,
        manifest=measured.manifest,
        sizes=measured.sizes,
        facts=measured.facts.model_copy(update={"assets": many}),
        tags={},
        parent=None,
    )
    with pytest.raises(InvalidError, match="65536 are allowed"):
        plan(version, {}, tool="scidata", commit_id="x")


def test_a_dry_run_writes_nothing_and_lists_what_publishing_uploads(
    bare: Path, store: MemoryStore
) -> None:
    planned = plan_publish(bare, store, version="1.0.0")
    assert isinstance(planned, Plan)
    assert keys(store) == []
    publish(bare, store, version="1.0.0")
    assert {step.key for step in planned.upload} == {
        key for key in keys(store, "bare/") if "/v1.0.0/" in key or "catalog-" in key
    }
    assert isinstance(plan_publish(bare, store, version="1.0.0"), CommitRecord)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def test_the_command_prints_digest_place_and_how_to_check_without_scidata(
    bare: Path, tmp_path: Path
) -> None:
    result = run(bare, "--version", "1.0.0", "--store", tmp_path / "store")
    digest = publish(bare, tmp_path / "store", version="1.0.0").commit.digest
    assert result.exit_code == 0
    assert digest in result.output
    assert f"file://{tmp_path}/store/bare/v1.0.0/" in result.output
    assert f'echo "{digest.removeprefix("sha256:")}  manifest-sha256.txt"' in result.output


def test_the_command_prints_one_json_document(bare: Path, tmp_path: Path) -> None:
    arguments = (bare, "--version", "1.0.0", "--store", tmp_path / "store", "--json")
    planned = json.loads(run(*arguments, "--dry-run").stdout)
    done, again = json.loads(run(*arguments).stdout), json.loads(run(*arguments).stdout)
    assert (planned["schema"], done["schema"]) == (
        "scidata-publish-plan/1",
        "scidata-publish/1",
    )
    assert planned["digest"] == done["digest"] == again["digest"]
    assert len(planned["upload"]) == done["uploaded"]
    assert (done["already"], again["already"], again["uploaded"]) == (False, True, 0)


def test_plain_commands_quote_what_a_shell_would_take_apart(bare: Path, tmp_path: Path) -> None:
    root = tmp_path / "it's a store"
    commit = publish(bare, root, version="1.0.0").commit
    assert "it'\"'\"'s a store" in plain_commands(open_store(root).url, commit)[0]
    there = plain_commands("s3://b/p", commit, endpoint_url="https://h")
    assert there[0] == "aws s3 sync --endpoint-url https://h s3://b/p/bare/v1.0.0/ bare-1.0.0/"
