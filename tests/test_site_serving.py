"""A site as this machine serves it, and the verb: real requests on loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
import urllib3

from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.site.rendering import HEADERS
from scidata.site.serving import read_hosted, server
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from tests.blocks import blocks
from tests.damage import command
from tests.samples import write_bare
from tests.servers import free_port
from tests.sites import built, site_store
from tests.versions import write_version

PAGES = ["tiny", "tiny/v1.0.0", "tiny/v1.1.0", "tiny/v1.2.0", "bare", "bare/v1.0.0", "gone"]


HOWTO = Path(__file__).parent.parent / "docs/howto/publish-a-site.md"


@dataclass(frozen=True)
class Served:
    url: str
    folder: Path
    store: Store


@contextmanager
def serving(folder: Path, store: Store, port: int) -> Iterator[None]:
    running = server(folder, store, port=port)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    store, port = site_store(root / "store"), free_port()
    url = f"http://127.0.0.1:{port}"
    built(store, root / "out", base_url=url)
    with serving(root / "out", store, port):
        yield Served(url, root / "out", store)


def get(url: str, *, method: str = "GET", **headers: str) -> urllib3.response.BaseHTTPResponse:
    return urllib3.request(method, url, headers=headers, redirect=False, retries=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", PAGES)
def test_header_head_and_linkset_carry_the_same_signposts(served: Served, page: str) -> None:
    import signposting

    url = f"{served.url}/{page}/"
    by_header = signposting.find_signposting_http(url)
    by_head = signposting.find_signposting_html(url)
    assert set(by_header.signposts) == set(by_head.signposts)
    (announced,) = by_header.linksets
    linkset = signposting.find_signposting_linkset(announced.target)
    own = {found for found in linkset.signposts if str(found.context) == url}
    assert own == set(by_header.signposts) - {announced}
    assert by_header.citeAs is not None
    assert len(by_header.types) == 2
    offered = {"tiny": 2, "bare": 1, "gone": 1}  # a dataset without a DOI has no DataCite form
    assert len(by_header.describedBy) == offered.get(page, 8)
    for described in by_header.describedBy:
        back = signposting.find_signposting_http(described.target)
        assert [str(found.target) for found in back.describes] == [url]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/ld+json", "application/ld+json"),
        ("application/ld+json;q=0.9, text/html;q=0.1", "application/ld+json"),
        ("text/html, application/ld+json;q=0.9", "text/html"),
        (
            "application/vnd.datacite.datacite+json",
            "application/vnd.datacite.datacite+json",
        ),
        ("application/x-bibtex", "application/x-bibtex"),
        ("application/linkset+json", "application/linkset+json"),
        ("image/png", "text/html"),
        ("application/ld+json;q=high", "text/html"),
    ],
)
def test_a_page_is_answered_in_the_media_type_that_is_asked_for(
    served: Served, accept: str, wanted: str
) -> None:
    found = get(f"{served.url}/tiny/v1.1.0/", Accept=accept)
    assert found.status == HTTPStatus.OK
    assert found.headers["Content-Type"].partition(";")[0] == wanted
    assert found.headers["Vary"] == "Accept"
    if wanted.endswith("json"):
        json.loads(found.data)


@pytest.mark.parametrize("path", ["/", "/tiny/v1.1.0/", "/site.js", "/nothing", "/tiny"])
def test_every_answer_has_the_policy(served: Served, path: str) -> None:
    found = get(f"{served.url}{path}")
    assert {name: found.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/site.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/feed.xml", "application/atom+xml"),
        ("/tiny/v1.1.0/metadata/croissant.json", "application/ld+json"),
        ("/tiny/v1.1.0/metadata/datacite.json", "application/json"),
        ("/tiny/v1.1.0/metadata/item.json", "application/geo+json"),
        ("/tiny/v1.1.0/linkset.json", "application/linkset+json"),
    ],
)
def test_every_file_is_answered_with_its_media_type(
    served: Served, path: str, media_type: str
) -> None:
    assert get(f"{served.url}{path}").headers["Content-Type"] == media_type


def test_the_store_is_served_behind_the_site(served: Served) -> None:
    found = get(f"{served.url}/tiny/v1.1.0/data/table.parquet")
    assert found.data == served.store.read("tiny/v1.1.0/data/table.parquet")
    assert found.headers["Content-Type"] == "application/vnd.apache.parquet"
    head = get(f"{served.url}/tiny/v1.1.0/data/table.parquet", method="HEAD")
    assert (head.status, head.data) == (HTTPStatus.OK, b"")
    assert int(head.headers["Content-Length"]) == len(found.data)


def test_the_address_of_a_folder_leads_to_its_page(served: Served) -> None:
    found = get(f"{served.url}/tiny/v1.1.0")
    assert (found.status, found.headers["Location"]) == (301, "/tiny/v1.1.0/")


@pytest.mark.parametrize(
    "path",
    [
        "/absent/",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/tiny/%2e%2e/%2e%2e/store/tiny/record.yaml",
        "/%00",
        "//etc/passwd",
        "/.scidata-site",
        "/_site.json",
        "/tiny/versions/",
    ],
)
def test_what_is_not_there_or_not_for_readers_is_404_with_a_page(
    served: Served, path: str
) -> None:
    request = urllib.request.Request(served.url)  # noqa: S310 - loopback; keeps dots in paths
    pool = urllib3.HTTPConnectionPool(request.host.partition(":")[0], int(request.host[10:]))
    found = pool.urlopen("GET", path, retries=False, redirect=False, assert_same_host=False)
    assert found.status == HTTPStatus.NOT_FOUND
    assert b"There is nothing here" in found.data


def test_a_name_of_another_site_that_leads_here_is_refused(served: Served) -> None:
    assert get(f"{served.url}/", Host="evil.example.org").status == 421
    assert get(f"{served.url}/", Host="localhost:1").status == HTTPStatus.OK


def test_nothing_can_be_written(served: Served) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert get(f"{served.url}/tiny/", method=method).status == 501


def test_a_folder_without_a_site_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        server(tmp_path, MemoryStore())
    for text in ("[]", "{", '{"schema": "scidata-site/9"}'):
        (tmp_path / "_site.json").write_text(text)
        with pytest.raises(InvalidError):
            read_hosted(tmp_path)


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(StorageError, match="cannot be used"):
        server(served.folder, served.store, port=port)


@contextmanager
def nginx(folder: Path, store: Path, work: Path, port: int) -> Iterator[None]:
    """Run nginx as the how-to page configures it, but for addresses."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    (python,) = [b.text for b in blocks(HOWTO) if b.language == "python"]
    (config,) = [b.text for b in blocks(HOWTO) if b.language == "nginx"]
    exec(  # noqa: S102 - our own page
        python.replace('"site/', f'"{folder}/').replace('"site-maps', f'"{work}/site-maps'), {}
    )
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port}"),
        ("/srv/site", str(folder)),
        ("/srv/store", str(store)),
        ("/etc/nginx/", f"{work}/"),
    ):
        assert old in config
        config = config.replace(old, new)
    temporary = "".join(
        f"{kind}_temp_path {work}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off; error_log {work}/error.log; pid {work}/pid; worker_processes 1;\n"
    main += "user root;\n" if os.geteuid() == 0 else ""
    events = "events {}\n"
    text = f"{main}{events}http {{\naccess_log off;\n{temporary}{config}}}\n"
    (work / "nginx.conf").write_text(text)
    command = [program, "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    with subprocess.Popen(command) as running:
        try:
            wait_for(port, lambda: running.poll() is None)
            yield
        finally:
            running.terminate()


def wait_for(port: int, alive: Callable[[], bool]) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert alive(), "the server ended"
        time.sleep(0.05)
    raise AssertionError(port)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nginx_answers_as_this_machine_does(tmp_path: Path) -> None:
    import signposting

    store, folder = LocalStore(tmp_path / "store"), tmp_path / "out"
    write_version(store, write_bare(tmp_path / "bare"))
    ports = free_port(), free_port()
    here, there = (f"http://127.0.0.1:{port}" for port in ports)
    built(store, folder, base_url=there)
    paths = ["/", "/bare/", "/bare/v1.0.0/", "/site.css", "/feed.xml", "/bare/linkset.json"]
    paths += [f"/{p.relative_to(folder)}" for p in folder.rglob("metadata/*")]
    paths += [
        "/bare/v1.0.0/data/one.txt",
        "/bare/versions/1.0.0.json",
        "/bare",
        "/absent",
        "/_site.json",
    ]
    accepts = ("*/*", "application/ld+json", "application/linkset+json", "text/html")
    names = ("Link", "Vary", *HEADERS)
    with (
        nginx(folder, tmp_path / "store", tmp_path, ports[1]),
        serving(folder, store, ports[0]),
    ):
        for path in paths:
            for accept in accepts:
                ours, theirs = (get(f"{at}{path}", Accept=accept) for at in (here, there))
                assert theirs.status == ours.status, path
                if ours.status == HTTPStatus.MOVED_PERMANENTLY:
                    assert theirs.headers["Location"] == ours.headers["Location"]
                    continue
                assert theirs.data == ours.data, (path, accept)
                types = [found.headers["Content-Type"] for found in (ours, theirs)]
                assert types[0].partition(";")[0] == types[1].partition(";")[0], path
                for name in names:
                    if name in ours.headers:
                        assert theirs.headers[name] == ours.headers[name], (path, accept)
        found = signposting.find_signposting_http(f"{there}/bare/v1.0.0/")
        assert found == signposting.find_signposting_html(f"{there}/bare/v1.0.0/")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


GOLDEN = Path(__file__).parent / "data/golden-store-1/store"


def test_the_verb_reports_what_it_wrote(tmp_path: Path) -> None:
    arguments = (
        "site",
        GOLDEN,
        "--out",
        tmp_path / "out",
        "--base-url",
        "https://d.example.org",
    )
    dry = run(*arguments, "--no-plots", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert "would write 34 files, 0 up to date, would remove 0" in dry.stdout
    done = run(*arguments, "--json")
    document = json.loads(done.stdout)
    assert (document["schema"], document["versions"]) == ("scidata-site-report/1", 2)
    assert document["base_url"] == "https://d.example.org"
    plots = [path for path in document["written"] if path.endswith(".png")]
    assert len(plots) > 4
    files = len(document["written"])
    assert f"wrote 0 files, {files} up to date" in run(*arguments).stdout
    assert f"removed {files - 34}" in run(*arguments, "--no-plots").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["site", GOLDEN], 2),
        (["site", GOLDEN, "--store", "x", "--out", "OUT"], 2),
        (["site", "absent", "--out", "OUT"], 3),
        (["site", GOLDEN, "--out", "OUT", "--base-url", "ftp://x"], 4),
    ],
)
def test_the_verb_ends_with_the_code_of_what_went_wrong(
    tmp_path: Path, arguments: list[str | Path], code: int
) -> None:
    done = run(*(tmp_path / "out" if a == "OUT" else a for a in arguments))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_verb_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    words = command("site", GOLDEN, "--out", tmp_path / "out", "--serve", "--port", "0")
    # Whoever runs the tests in the background ignores interrupts, and so would a child.
    words = ["env", "--default-signal=INT", *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            line = next(text for text in running.stdout if text.startswith("serving"))
            url = line.split()[1]
            assert b"Tiny waves" in get(f"{url}tiny/").data
            assert get(f"{url}tiny/v1.0.0/manifest-sha256.txt").status == HTTPStatus.OK
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=20) == 0
        finally:
            running.kill()


def test_a_site_is_built_from_a_bucket(s3_url: str, tmp_path: Path) -> None:
    from scidata.storage import open_store

    store = open_store(s3_url)
    write_version(store, write_bare(tmp_path / "bare"))
    report = built(store, tmp_path / "out", data_url="https://data.example.org/store")
    assert report.versions == 1
    page = (tmp_path / "out/bare/v1.0.0/index.html").read_text()
    assert 'href="https://data.example.org/store/bare/v1.0.0/manifest-sha256.txt"' in page
    assert "aws s3" not in page  # a server on loopback is nobody else's
