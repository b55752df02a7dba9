"""Attack: a catalog or a server that sends its reader to the inside of the reader's network.

Promise: what was read on the web leads to no laboratory's, no own and no cloud's inner address,
by no spelling of it, and never from https to http.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import obstore
import pytest
from obstore.exceptions import BaseError

from scidata.catalog import open_catalog
from scidata.catalog.fetch import _redirect_watch
from scidata.catalog.rules import catalog_problems
from scidata.errors import InvalidError, StorageError
from scidata.formats.intake import version_catalog
from scidata.formats.text import to_yaml
from scidata.loaders.places import Place
from scidata.storage import hosts, open_store
from scidata.storage.foreign import open_place
from scidata.storage.hosts import Reach, reach_of, reach_of_url
from scidata.storage.staying import is_staying, staying
from tests.plainly import Document
from tests.records import facts_of, full_record
from tests.security.attack import run
from tests.security.servers import answering

NEVER = [
    "169.254.169.254",
    "[fe80::1]",
    "[fe80::1%eth0]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.169.254.",
    "metadata.google.internal",
    "METADATA.google.internal",
    "100.100.100.200",
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0",
    "[::]",
    "224.0.0.1",
    "255.255.255.255",
    "",
]
LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "[::1]",
    "2130706433",
]
PRIVATE = [
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "[fd00::1]",
    "100.64.0.1",
    "nas",
    "nas.local",
]
PUBLIC = ["example.org", "data.lab.example.org", "93.184.216.34", "[2606:2800:220:1::1]"]


@pytest.mark.parametrize(
    ("names", "reach"),
    [
        (NEVER, Reach.NEVER),
        (LOOPBACK, Reach.LOOPBACK),
        (PRIVATE, Reach.PRIVATE),
        (PUBLIC, Reach.PUBLIC),
    ],
    ids=["never", "loopback", "private", "public"],
)
def test_no_spelling_of_an_address_hides_where_it_lies(names: list[str], reach: Reach) -> None:
    assert {name: reach_of(name) for name in names} == dict.fromkeys(names, reach)


def sound() -> Document:
    document: Document = version_catalog(full_record(), facts_of(full_record()))
    return document


def naming(url: str, place: str) -> Document:
    document = sound()
    kwargs = document["data"]["table__data"]["kwargs"]
    if place == "url":
        kwargs |= {"url": f"{url}/x.parquet", "storage_options": {}}
    else:
        kwargs |= {
            "url": "s3://bucket/x",
            "storage_options": {"anon": True, "endpoint_url": url},
        }
    return document


@pytest.mark.parametrize("place", ["url", "endpoint"])
@pytest.mark.parametrize("host", NEVER + LOOPBACK + PRIVATE)
def test_a_catalog_of_the_web_names_no_server_inside(host: str, place: str) -> None:
    document = naming(f"http://{host}", place)
    assert list(catalog_problems(document, reach=Reach.PUBLIC))
    if host in NEVER:  # nor does any other catalog
        assert list(catalog_problems(document, reach=Reach.LOOPBACK))


@pytest.mark.parametrize("host", PUBLIC)
def test_a_catalog_of_the_web_names_other_servers_of_the_web(host: str) -> None:
    if not host.startswith("["):
        assert not list(catalog_problems(naming(f"https://{host}", "url"), reach=Reach.PUBLIC))


def test_a_catalog_of_a_laboratory_names_its_servers_but_not_the_readers_own() -> None:
    lab = naming("http://10.0.0.7:9000", "endpoint")
    assert not list(catalog_problems(lab, reach=Reach.PRIVATE))
    assert list(catalog_problems(naming("http://127.0.0.1", "endpoint"), reach=Reach.PRIVATE))


def test_where_a_catalog_came_from_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reach_of_url("index.yaml", {}) is Reach.LOOPBACK
    assert reach_of_url("file:///x/index.yaml", {}) is Reach.LOOPBACK
    assert reach_of_url("https://example.org/index.yaml", {}) is Reach.PUBLIC
    assert reach_of_url("s3://bucket/index.yaml", {}) is Reach.PUBLIC
    options = {"endpoint_url": "http://10.0.0.7:9000"}
    assert reach_of_url("s3://bucket/index.yaml", options) is Reach.PRIVATE
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert reach_of_url("s3://bucket/index.yaml", {}) is Reach.LOOPBACK


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_server_cannot_send_the_reader_to_the_clouds_credentials(status: int) -> None:
    with (
        answering(status, {"Location": "http://169.254.169.254/latest/meta-data/"}) as url,
        pytest.raises(InvalidError, match="sends its readers to"),
    ):
        open_catalog(f"{url}/index.yaml")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make 127.0.0.1 a host of the web; `localhost` stays the reader's own machine."""

    def outside(host: str) -> None:
        real = hosts.reach_of
        monkeypatch.setattr(
            hosts, "reach_of", lambda name: Reach.PUBLIC if name == host else real(name)
        )

    return outside


def test_a_server_of_the_web_cannot_send_the_reader_to_his_own_machine(
    web: Callable[[str], None],
) -> None:
    seen: list[Any] = []
    document = to_yaml(sound())
    with answering(200, {}, document, seen=seen) as inside:
        target = inside.replace("127.0.0.1", "localhost") + "/private"
        with answering(302, {"Location": target}) as url:
            web("127.0.0.1")
            with pytest.raises(InvalidError, match="sends its readers to"):
                open_catalog(f"{url}/index.yaml")
    assert seen == []


def test_a_redirect_from_https_to_http_is_refused() -> None:
    import asyncio

    from yarl import URL

    class Answer:
        headers: ClassVar = {"Location": "http://93.184.216.34/x"}

    class Told:
        url = URL("https://93.184.216.34/index.yaml")
        response = Answer()

    watch = _redirect_watch("https://93.184.216.34/index.yaml")
    with pytest.raises(InvalidError, match="sends its readers to"):
        asyncio.run(watch(None, None, Told()))  # type: ignore[arg-type]
    Answer.headers = {"Location": "https://93.184.216.34/other"}
    asyncio.run(watch(None, None, Told()))  # type: ignore[arg-type]


def test_a_redirect_among_equals_is_followed(tmp_path: Path) -> None:
    with (
        answering(200, {}, to_yaml(sound())) as target,
        answering(302, {"Location": f"{target}/index.yaml"}) as url,
    ):
        assert "table" in list(open_catalog(f"{url}/index.yaml"))


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("kind", ["s3", "adopted"])
def test_no_server_sends_those_who_read_ranges_to_another_host(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback-key")
    seen: list[tuple[str, dict[str, str]]] = []
    with answering(200, {}, b"secret", seen=seen) as inside:
        target = inside.replace("127.0.0.1", "localhost") + "/private"
        with answering(302, {"Location": target}) as url:
            store = open_place(url, endpoint=None, anonymous=True, near=True)
            if kind == "s3":
                store = open_store("s3://bucket", endpoint_url=url)
                with pytest.raises(StorageError, match="cannot be reached"):
                    store.read("tiny/versions/1.0.0.json")
            objects = store.objects("folder")
            place = Place.of(objects)
            assert place is not None
            assert place == Place.of(place.open())
            for view in (objects, place.open()):
                with pytest.raises(BaseError, match="error sending request"):
                    obstore.get_range(view, "scene.h5", start=0, end=4)
            if kind == "adopted":
                files = place.through_python(asynchronous=False)
                with pytest.raises(StorageError, match="another host"):
                    files.cat_file(f"{place.url}/scene.h5", start=0, end=4)
    assert seen == []


@pytest.mark.usefixtures("_no_proxies")
def test_a_redirect_within_a_host_is_followed_by_those_who_read_ranges() -> None:
    with (
        answering(200, {}, b"data") as target,
        answering(302, {"Location": f"{target}/scene.h5"}) as url,
    ):
        store = open_place(url, endpoint=None, anonymous=True, near=True)
        assert bytes(obstore.get(store.objects(), "scene.h5").bytes()) == b"data"


def test_where_the_environment_names_a_proxy_that_one_decides() -> None:
    assert staying("https://example.org/x", {"HTTPS_PROXY": "http://proxy:3128"}) == {}
    assert is_staying(staying("https://example.org/x", {}))


@pytest.mark.parametrize(
    "url",
    [
        "simplecache::https://example.org/index.yaml",
        "dir::file:///etc",
        "reference::index.yaml",
        "filecache::s3://bucket/x",
        "reference://index.yaml",
        "memory://x",
        "ssh://host/x",
        "zip://x::file:///x.zip",
        "github://org:repo@/x",
        "data:text/yaml,x",
        "HTTPS://example.org/x",
        "ftp://host/x",
    ],
)
def test_no_other_protocol_and_no_chain_of_them_is_opened(url: str) -> None:
    with pytest.raises(Exception, match=r"not an address|there is no catalog"):
        open_catalog(url)


if __name__ == "__main__":
    run(__file__)
