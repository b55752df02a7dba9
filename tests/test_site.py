"""A site of a store: what its pages show, and what a build writes and leaves alone."""

import json
import re
from pathlib import Path

import pytest

from scidata.correction import Correction, correction_bytes, correction_key
from scidata.errors import ConflictError, InvalidError, StorageError
from scidata.marking import Mark, mark
from scidata.site import Drawn, SiteOptions, build, drawing
from scidata.site.pages import Preview
from scidata.site.rendering import POLICY
from scidata.site.snippets import Bucket, bucket_of
from scidata.site.sources import Version
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.warning import warn
from tests.samples import write_bare, write_staged
from tests.sites import (
    BASE,
    built,
    contents,
    give_doi,
    head_links,
    leaking_record,
    pages,
    parsed,
    site_options,
    site_store,
    text_of,
    with_record,
)
from tests.versions import Counting, write_version

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    return site_store(tmp_path_factory.mktemp("site-store"))


@pytest.fixture(scope="module")
def site(store: MemoryStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    built(store, out)
    return out


def shown(site: Path, page: str) -> str:
    return text_of((site / page / "index.html").read_bytes())


def test_there_is_a_page_for_each_dataset_and_each_version(site: Path) -> None:
    versions = ("tiny/v1.0.0", "tiny/v1.1.0", "tiny/v1.2.0", "bare/v1.0.0", "bare/v1.1.0")
    wanted = [f"{path}/index.html" for path in (*versions, "tiny", "bare", "gone")]
    assert pages(site) == sorted([*wanted, "gone/v1.0.0/index.html", "index.html", "404.html"])


@pytest.mark.parametrize(
    "words",
    [
        'Waves & "swell": ein Maß, größer | kleiner',
        "Carberry, Josiah (2026)",
        "https://doi.org/10.5072/scidata.tiny.v1.1.0",
        "10.5072/scidata.tiny",
        "Terms of the waves",
        "170.0° to -170.0° E",
        "1950-01 to 2026",
        "A sine wave.",
        "sample 24 \N{MULTIPLICATION SIGN} channel 3 \N{MULTIPLICATION SIGN} time 64",
        "Ids Share What it is train 16 66.7 % Sixteen waves.",
        "Leaks. Neighbours look alike.",
        "wave array 3,072",
        "data/array.zarr",
        "No waves in winter. 2000 to 2001",
        "Compute sine waves",
        "What changed since 1.0.0",
        "1 changed of 12 files",
        "A Fund Waves, 7",
        "Wave Group Data collector",
        "Is described by 10.1234/paper",
    ],
)
def test_the_page_of_a_version_shows_it(site: Path, words: str) -> None:
    assert words in shown(site, "tiny/v1.1.0")


@pytest.mark.parametrize(
    "code",
    [
        "intake.open_catalog('https://data.example.org/tiny/catalog-1.1.0.yaml')",
        "'https://data.example.org/tiny/v1.1.0/data/array.zarr'",
        "scidata.open('tiny@1.1.0', store='https://data.example.org')",
        "scidata pull tiny@1.1.0 --store https://data.example.org --out tiny-1.1.0",
        "sha256sum --quiet -c manifest-sha256.txt",
    ],
)
def test_the_page_says_how_to_use_a_version(site: Path, code: str) -> None:
    assert code in shown(site, "tiny/v1.1.0")


def test_the_digest_of_every_asset_is_on_the_page(site: Path, store: MemoryStore) -> None:
    commit = json.loads(store.read("tiny/versions/1.1.0.json"))
    text = shown(site, "tiny/v1.1.0")
    assert commit["digest"] in text
    assert all(asset["sha256"] in text for asset in commit["assets"])


def test_a_bucket_that_all_may_read_is_fetched_with_aws(
    store: MemoryStore, tmp_path: Path
) -> None:
    built(store, tmp_path, data_url="https://waves.s3.amazonaws.com/store")
    text = shown(tmp_path, "tiny/v1.1.0")
    assert "aws s3 sync s3://waves/store/tiny/v1.1.0/ tiny-1.1.0/ --no-sign-request" in text


@pytest.mark.parametrize(
    ("address", "writable", "wanted"),
    [
        ("s3://b/p", True, Bucket(url="s3://b/p")),
        ("s3://b/p", False, Bucket(url="s3://b/p", options=("--no-sign-request",))),
        (
            "s3://b/p at https://s3.example.org",
            True,
            Bucket(url="s3://b/p", options=("--endpoint-url", "https://s3.example.org")),
        ),
        ("s3://b/p at http://10.0.0.7:9000", True, None),
    ],
)
def test_a_bucket_is_told_as_others_reach_it(
    address: str, writable: bool, wanted: Bucket | None
) -> None:
    store = Counting(MemoryStore())
    store.url, store.address, store.writable = "s3://b/p", address, writable
    assert bucket_of(store, BASE) == wanted


def test_the_history_tells_what_each_version_changed_and_became(site: Path) -> None:
    text = shown(site, "tiny")
    assert "1.1.0 newest 2026-01-02" in text
    assert "1.2.0 withdrawn 2026-01-02" in text
    assert "1.0.0 deprecated 2026-01-02" in text
    assert text.count("1 changed of 12 files") == 2


def test_a_withdrawn_version_has_a_tombstone_that_names_reason_and_successor(
    site: Path,
) -> None:
    text = shown(site, "tiny/v1.2.0")
    assert "This version was withdrawn Labels <swapped>." in text
    assert "Use tiny@1.1.0 instead" in text
    assert "Use it" not in text


def test_a_purged_version_has_a_tombstone_and_no_files(site: Path) -> None:
    text = shown(site, "bare/v1.0.0")
    assert "The data of this version were removed A person withdrew their consent." in text
    assert "Their names and digests stay in manifest-sha256.txt" in text
    assert "Access data removed" in text
    assert re.search(r"Size \d files?, removed ", text)
    assert re.search(r"1\.0\.0 purged 2026-01-02 removed ", text), "nor in the history"


def test_the_index_is_headed_by_whoever_publishes_all_of_it(site: Path) -> None:
    assert "CERN: datasets 3 datasets" in shown(site, ".")


def test_a_dataset_without_any_offered_version_says_so(site: Path) -> None:
    assert "no version is offered any more" in shown(site, "gone")
    assert "withdrawn" in shown(site, ".")


def test_a_reserved_doi_is_shown_but_leads_nowhere(tmp_path: Path) -> None:
    store = MemoryStore()
    doi = give_doi(store, write_version(store, write_bare(tmp_path / "b")), findable=False)
    built(store, tmp_path / "out")
    page = (tmp_path / "out/bare/v1.0.0/index.html").read_bytes()
    assert f"{doi} (reserved, does not resolve yet)" in text_of(page)
    assert f"doi.org/{doi}".encode() not in page


def test_the_pages_run_nothing_and_ask_no_other_host(site: Path) -> None:
    for page in pages(site):
        data = (site / page).read_bytes()
        tree = parsed(data)
        for element in tree.iter():
            assert not [name for name in element.attrib if name.startswith("on")]
            assert element.get("style") is None
            name = str(element.tag).rpartition("}")[2]
            assert name not in {"style", "iframe", "object", "embed"}
            assert element.get("action") is None  # the search is a form that is never sent
            if name in {"script", "img"} and element.get("src"):
                assert ":" not in element.get("src")
            if name == "script" and not element.get("src"):
                assert element.get("type") == "application/ld+json"
        metas = [e for e in tree.iter() if e.get("http-equiv") == "Content-Security-Policy"]
        assert [meta.get("content") for meta in metas] == [POLICY]
        assert data.index(b"Content-Security-Policy") < data.index(b"<link")


def test_the_same_store_gives_the_same_bytes_and_a_second_build_writes_nothing(
    site: Path, store: MemoryStore, tmp_path: Path
) -> None:
    first = built(store, tmp_path)
    assert contents(tmp_path) == contents(site)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = built(store, tmp_path)
    assert (again.written, again.removed) == ((), ())
    assert again.unchanged == len(first.written)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    store = site_store(tmp_path / "store")
    out = tmp_path / "out"
    built(store, out)
    mark("bare@1.1.0", Mark(state="deprecated", reason="It is short."), store)
    report = built(store, out)
    touched = {path for path in report.written if path.endswith("index.html")}
    assert touched == {
        "index.html",
        "bare/index.html",
        "bare/v1.0.0/index.html",
        "bare/v1.1.0/index.html",
    }


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    store: MemoryStore, site: Path, tmp_path: Path
) -> None:
    report = built(store, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    assert {*report.written, ".scidata-site"} == contents(site).keys()


def test_a_dry_run_draws_no_plots_and_says_whose(store: MemoryStore, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("drawn")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "draw_previews", refuse)
        report = built(store, tmp_path / "out", dry_run=True, draw=None)
    assert "tiny@1.1.0" in report.undrawn
    assert "tiny@1.2.0" not in report.undrawn, "a tombstone has no plots"


def test_what_drawing_warns_of_is_in_the_report_once(
    store: MemoryStore, tmp_path: Path
) -> None:
    def draw(of: Store, version: Version) -> list[Drawn]:
        warn("no plots are drawn")
        return []

    assert built(store, tmp_path, draw=draw).warnings == ("no plots are drawn",)


def test_foreign_files_stay_and_pages_of_what_is_gone_go(
    store: MemoryStore, tmp_path: Path
) -> None:
    built(store, tmp_path)
    (tmp_path / "tiny/mine.txt").write_text("mine")
    other = MemoryStore()
    write_version(other, write_bare(tmp_path.parent / "other"))
    report = built(other, tmp_path)
    assert "tiny/v1.0.0/index.html" in report.removed
    assert pages(tmp_path) == sorted(
        ["404.html", "bare/index.html", "bare/v1.0.0/index.html", "index.html"]
    )
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["mine.txt"]


def test_a_foreign_file_in_the_place_of_a_page_is_never_written_over(
    store: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("my home page")
    with pytest.raises(ConflictError, match="no build of a site wrote it"):
        build(store, tmp_path, site_options())
    assert (tmp_path / "index.html").read_text() == "my home page"


def test_a_ledger_that_was_tampered_with_removes_nothing_outside(
    store: MemoryStore, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    built(store, out)
    outside = tmp_path / "precious.txt"
    outside.write_text("precious")
    (out / "link").symlink_to(tmp_path)
    with (out / ".scidata-site").open("a") as ledger:
        ledger.write(f"../precious.txt\n{outside}\n")
    built(store, out)
    with (out / ".scidata-site").open("a") as ledger:
        ledger.write("link/precious.txt\n")
    with pytest.raises(ConflictError, match="behind a link"):
        build(store, out, site_options())
    assert outside.read_text() == "precious"


def test_a_killed_build_knows_its_own_files_again(
    store: MemoryStore, site: Path, tmp_path: Path
) -> None:
    def die(of: Store, version: Version) -> list[Drawn]:
        if version.commit.name == "tiny@1.0.0":
            raise KeyboardInterrupt
        return []

    with pytest.raises(KeyboardInterrupt):
        build(store, tmp_path, site_options(draw=die, base_url="https://other.example.org"))
    assert "bare/v1.1.0/index.html" in contents(tmp_path)
    built(store, tmp_path)
    assert contents(tmp_path) == contents(site)


def test_a_damaged_version_loses_no_page_that_it_had(tmp_path: Path) -> None:
    store = site_store(tmp_path / "store")
    out = tmp_path / "out"
    built(store, out)
    before = contents(out)
    store.replace("tiny/v1.0.0/meta/record.yaml", b"damaged")
    report = build(store, out, site_options())
    assert [problem.path for problem in report.damaged] == ["tiny@1.0.0"]
    after = contents(out)
    assert after["tiny/v1.0.0/index.html"] == before["tiny/v1.0.0/index.html"]
    assert report.removed == ()


def test_a_damaged_split_leaves_the_page_and_is_told(tmp_path: Path) -> None:
    store = site_store(tmp_path / "store")
    store.replace("tiny/v1.1.0/data/splits/sample/train.txt", b"0001\n")
    report = build(store, tmp_path / "out", site_options())
    assert report.damaged == ()
    assert "sample/train of tiny@1.1.0 is not counted" in report.warnings[0]
    assert "train — — Sixteen waves." in shown(tmp_path / "out", "tiny/v1.1.0")


def test_previews_are_written_and_described_to_who_does_not_see_them(
    store: MemoryStore, tmp_path: Path
) -> None:
    def draw(of: Store, version: Version) -> list[Drawn]:
        preview = Preview(
            file="preview-1.png",
            caption="A <wave>",
            alt="One wave, rising",
            width=640,
            height=320,
        )
        return [Drawn(preview=preview, data=PNG)]

    built(store, tmp_path, draw=draw)
    assert (tmp_path / "tiny/v1.1.0/preview-1.png").read_bytes() == PNG
    page = (tmp_path / "tiny/v1.1.0/index.html").read_bytes()
    assert b'src="preview-1.png" alt="One wave, rising"' in page
    assert "A <wave>" in text_of(page)
    assert f'"{BASE}/tiny/v1.1.0/preview-1.png"'.encode() in page
    assert not (tmp_path / "tiny/v1.2.0/preview-1.png").exists()
    assert b'src="v1.1.0/preview-1.png"' in (tmp_path / "tiny/index.html").read_bytes()


def test_without_a_base_url_the_site_is_at_home(tmp_path: Path) -> None:
    store = MemoryStore()
    write_version(store, write_bare(tmp_path / "b"))
    report = build(store, tmp_path / "out", SiteOptions(environ={}))
    assert report.base_url == "http://127.0.0.1:8000"
    environ = {"SCIDATA_BASE_URL": "https://data.example.org/lab/"}
    report = build(store, tmp_path / "lab", SiteOptions(environ=environ))
    assert report.base_url == "https://data.example.org/lab"
    page = (tmp_path / "lab/bare/v1.0.0/index.html").read_bytes()
    assert ("canonical", "https://data.example.org/lab/bare/v1.0.0/") in head_links(page)
    assert b'href="/lab/site.css"' in (tmp_path / "lab/404.html").read_bytes()


def test_an_address_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as refused:
        build(MemoryStore(), tmp_path, site_options(base_url="javascript:alert(1)"))
    assert refused.value.where == "--base-url or $SCIDATA_BASE_URL"


def test_an_empty_store_has_a_site_that_says_so(tmp_path: Path) -> None:
    built(MemoryStore(), tmp_path)
    assert "Nothing is published yet." in shown(tmp_path, ".")


def test_a_file_in_the_place_of_the_folder_is_a_failure_of_storage(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError):
        build(MemoryStore(), tmp_path / "out", site_options())


def test_a_version_is_read_once_however_long_the_history(tmp_path: Path) -> None:
    store = Counting(site_store(tmp_path / "store"))
    built(store, tmp_path / "out")
    reads = [request for request in store.requests if request.endswith("meta/record.yaml")]
    assert sorted(reads) == sorted(set(reads))


def test_a_version_of_thousands_of_files_has_a_page_of_bounded_size(tmp_path: Path) -> None:
    staged = write_bare(tmp_path / "many")
    for number in range(3000):
        folder = staged / f"data/scenes/{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05d}.txt").write_text(str(number))
    store = MemoryStore()
    write_version(store, staged)
    built(store, tmp_path / "out")
    page = (tmp_path / "out/bare/v1.0.0/index.html").read_bytes()
    assert len(page) < 250_000
    assert "2,940 more are in manifest-sha256.txt" in text_of(page)


def test_statistics_that_are_no_json_are_left_out_and_told(tmp_path: Path) -> None:
    staged = with_record(write_staged(tmp_path / "t"), leaking_record())
    (staged / "data/statistics.json").write_text("[")
    store = MemoryStore()
    write_version(store, staged)
    report = build(store, tmp_path / "out", site_options())
    assert "statistics of tiny@1.0.0 are left out" in report.warnings[0]
    assert "Greatest" not in shown(tmp_path / "out", "tiny/v1.0.0")


def test_a_corrected_description_is_shown_and_said_to_be_one(tmp_path: Path) -> None:
    store = MemoryStore()
    commit = write_version(store, write_bare(tmp_path / "b"))
    text = store.read("bare/v1.0.0/meta/record.yaml").decode()
    correction = Correction(
        dataset="bare",
        version="1.0.0",
        digest=commit.digest,
        changed=("title",),
        record=text.replace("Tiny waves for tests", "Small waves for tests"),
        by="somebody",
        date="2026-03-04T05:06:07Z",
    )
    store.create(correction_key("bare", "1.0.0", 1), correction_bytes(correction))
    built(store, tmp_path / "out")
    text = shown(tmp_path / "out", "bare/v1.0.0")
    assert "Small waves for tests" in text
    assert "The description was corrected on 2026-03-04 (title)" in text
    assert "<updated>2026-03-04T05:06:07Z" in (tmp_path / "out/feed.xml").read_text()
