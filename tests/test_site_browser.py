"""Pages as readers meet them: in Chromium, on phone and desk, by keyboard, read aloud."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from scidata.site import SiteOptions, build
from scidata.storage.memory import MemoryStore
from tests.browser import DESKTOP, PHONE, chromium, visit
from tests.pictured import write_pictured
from tests.servers import folder_server
from tests.sites import site_store
from tests.versions import write_version

PAGES = ("", "tiny/", "tiny/v1.1.0/", "tiny/v1.2.0/", "pictured/v1.0.0/", "404.html")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Path:
    """The site of a few datasets, one of them with plots."""
    folder = tmp_path_factory.mktemp("browsed")
    store = site_store(folder)
    write_version(store, write_pictured(folder / "pictured"))
    build(store, folder / "out", SiteOptions(environ={}))
    return folder / "out"


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with folder_server(site) as base:
        yield f"{base}/"


def violations(found: Any) -> list[str]:  # Any: Playwright's page
    """Return what axe-core finds wrong with a page: rule, and the element."""
    from axe_playwright_python.sync_playwright import Axe

    answer = Axe().run(found).response
    assert len(answer["passes"]) > 5, "axe looked at nothing"
    return [f"{v['id']}: {n['html'][:200]}" for v in answer["violations"] for n in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "index")
def test_a_page_is_accessible_quiet_and_fits(
    browser: Browser,
    url: str,
    page: str,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:
    with visit(browser, url + page, size=size, scheme=scheme) as seen:
        for closed in seen.page.locator("details").all():
            closed.evaluate("found => { found.open = true; }")
        assert violations(seen.page) == []
        assert seen.errors == []  # violations of the policy are among them
        assert [asked for asked in seen.requests if not asked.startswith(url)] == []
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], "the page is wider than the window"


def test_a_page_with_a_fault_is_found_out(browser: Browser, url: str) -> None:
    with visit(browser, url) as seen:
        seen.page.evaluate("document.querySelector('label').remove()")
        image = "Object.assign(document.createElement('img'), {src: 'icon.svg'})"
        seen.page.evaluate(f"document.body.append({image})")
        found = " ".join(violations(seen.page))
        assert "image-alt" in found
        assert "label" in found
        seen.page.evaluate("document.body.setAttribute('style', 'color: red')")
        seen.page.evaluate("fetch('https://elsewhere.example.org/').catch(() => null)")
        seen.page.wait_for_timeout(50)
        assert any("Content Security Policy" in error for error in seen.errors)


def test_plots_load_when_they_come_into_sight_and_move_nothing(
    browser: Browser, url: str
) -> None:
    with visit(browser, f"{url}pictured/v1.0.0/") as seen:
        images = seen.page.locator("figure img")
        assert images.count() == 12
        last = images.nth(3)
        before = last.bounding_box()
        last.scroll_into_view_if_needed()
        seen.page.wait_for_function(
            "n => document.querySelectorAll('figure img')[n].naturalWidth > 0", arg=3
        )
        after = last.bounding_box()
        assert before is not None
        assert after is not None
        assert before["height"] == after["height"] > 50
        assert not seen.page.locator("details.later").get_attribute("open")


def test_search_needs_no_mouse(browser: Browser, url: str) -> None:
    with visit(browser, url) as seen:
        keys = seen.page.keyboard
        for _ in range(10):
            keys.press("Tab")
            if seen.focused()[1] == "q":
                break
        assert seen.focused()[:2] == ["INPUT", "q"]
        keys.type("pict")  # of "Pictures": the beginning of a word is enough
        status = seen.page.locator("#found")
        assert status.inner_text() == "1 dataset found"
        assert status.get_attribute("aria-live") == "polite"
        assert status.get_attribute("role") == "status"
        keys.press("ArrowDown")
        assert seen.focused() == ["A", "", "Pictures of seven kinds"]
        keys.press("ArrowUp")
        assert seen.focused()[1] == "q"
        keys.press("Enter")
        assert seen.focused()[0] == "A"
        with seen.page.expect_navigation():
            keys.press("Enter")
        assert seen.page.url == f"{url}pictured/"
        seen.page.go_back()
        assert seen.page.locator("#q").input_value() == "pict"
        assert seen.page.locator("#found").inner_text() == "1 dataset found"
        assert seen.errors == []


def test_what_does_not_fit_is_not_found_and_clearing_brings_everything_back(
    browser: Browser, url: str
) -> None:
    with visit(browser, url) as seen:
        everything = seen.page.locator("#datasets > li")
        count = everything.count()
        seen.page.fill("#q", "waves nonsense")
        assert seen.page.locator("#found").inner_text() == "0 datasets found"
        assert seen.page.locator("#results > li").count() == 0
        assert not seen.page.locator("#datasets").is_visible()
        seen.page.get_by_role("button", name="Clear").press("Enter")
        assert seen.focused()[1] == "q"
        assert seen.page.locator("#found").inner_text() == ""
        assert everything.count() == count
        assert seen.page.locator("#datasets").is_visible()


def test_without_scripts_the_index_lists_every_dataset(browser: Browser, url: str) -> None:
    with visit(browser, url, scripts=False) as seen:
        assert not seen.page.locator("#search").is_visible()
        links = seen.page.locator("#datasets h2 a")
        assert [link.get_attribute("href") for link in links.all()] == [
            "bare/",
            "gone/",
            "pictured/",
            "tiny/",
        ]


def test_search_and_links_work_in_a_folder_without_any_server(
    browser: Browser, site: Path
) -> None:
    with visit(browser, (site / "index.html").as_uri()) as seen:
        seen.page.fill("#q", "plots pict")
        assert seen.page.locator("#found").inner_text() == "1 dataset found"
        with seen.page.expect_navigation():
            seen.page.locator("#results h2 a").click()
        assert seen.page.url == (site / "pictured/index.html").as_uri()
        assert seen.errors == []


def entry(number: int, **changes: Any) -> dict[str, Any]:  # Any: JSON
    return {
        "name": f"set-{number}",
        "title": f"Measurements {number}",
        "abstract": "Values that somebody measured somewhere.",
        "language": "en",
        "version": "1.0.0",
        "date": "2026-01-02",
        "size": "5 MB",
        "bytes": 5_000_000,
        "licence": "CC-BY-4.0",
        "domains": ["Physics"],
        "keywords": ["test"],
        "creators": ["Ada Lovelace"],
        "variables": ["speed"],
        "state": "active",
        "href": f"set-{number}/",
        **changes,
    }


@pytest.fixture
def catalogue(site: Path, tmp_path: Path) -> Iterator[Any]:
    """Serve the index page over any catalogue; returns its address."""
    for name in ("index.html", "search.js", "site.js", "site.css", "icon.svg"):
        (tmp_path / name).write_bytes((site / name).read_bytes())
    with folder_server(tmp_path) as base:

        def write(*datasets: dict[str, Any]) -> str:
            document = {"schema": "scidata-search/1", "datasets": datasets}
            (tmp_path / "search.json").write_text(json.dumps(document))
            return f"{base}/index.html"

        yield write


def names_found(browser: Browser, address: str, query: str) -> list[str | None]:
    with visit(browser, address) as seen:
        seen.page.fill("#q", query)
        links = seen.page.locator("#results h2 a").all()
        assert seen.errors == []
        return [link.get_attribute("href") for link in links]


def test_titles_count_most_then_keywords_then_creators_and_variables_then_the_abstract(
    browser: Browser, catalogue: Any
) -> None:
    address = catalogue(
        entry(1, abstract="On clouds."),
        entry(2, variables=["clouds"]),
        entry(3, keywords=["clouds"]),
        entry(4, title="Clouds over land"),
        entry(5, title="Cloudsat"),  # begins so, and is another word
        entry(6),
    )
    found = names_found(browser, address, "clouds")
    assert found == ["set-4/", "set-3/", "set-5/", "set-2/", "set-1/"]


def test_accents_case_and_scripts_do_not_stand_in_the_way(
    browser: Browser, catalogue: Any
) -> None:
    address = catalogue(
        entry(1, creators=["Jürgen Müller"]),
        entry(2, title="東京の気温"),
        entry(3, title="قياسات الحرارة", language="ar"),
    )
    assert names_found(browser, address, "MULLER jurg") == ["set-1/"]
    assert names_found(browser, address, "気温") == ["set-2/"]
    assert names_found(browser, address, "الحرا") == ["set-3/"]


def test_filters_narrow_by_licence_domain_and_size(browser: Browser, catalogue: Any) -> None:
    address = catalogue(
        entry(1, licence="CC0-1.0", domains=["Biology"], bytes=10),
        entry(2, bytes=2 * 10**9),
        entry(3, bytes=2 * 10**12),
    )
    with visit(browser, address) as seen:
        found = seen.page.locator("#found")
        seen.page.select_option("[name=licence]", "CC0-1.0")
        assert found.inner_text() == "1 dataset found"
        seen.page.select_option("[name=licence]", "")
        seen.page.select_option("[name=domain]", "Physics")
        assert found.inner_text() == "2 datasets found"
        seen.page.select_option("[name=size]", "large")
        assert seen.page.locator("#results h2 a").get_attribute("href") == "set-3/"
        assert "domain=Physics&size=large" in seen.page.url


def test_texts_of_a_catalogue_are_never_read_as_html(browser: Browser, catalogue: Any) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    address = catalogue(
        entry(
            1, title=f"waves {hostile}", abstract=hostile, keywords=[hostile], licence=hostile
        )
    )
    with visit(browser, address) as seen:
        seen.page.fill("#q", "waves")
        assert seen.page.locator("#results h2").inner_text() == f"waves {hostile}"
        assert seen.page.locator("#results img").count() == 0
        assert seen.errors == []


def test_of_thousands_of_datasets_fifty_are_shown_and_more_on_demand(
    browser: Browser, catalogue: Any
) -> None:
    topics = [f"topic{n}" for n in range(500)]
    columns = [f"column{n}" for n in range(900)]
    many = (
        entry(n, keywords=topics[n % 480 :][:20], variables=columns[n % 860 :][:40])
        for n in range(5_000)
    )
    with visit(browser, catalogue(*many)) as seen:
        seen.page.fill("#q", "measurements topic1")
        assert "datasets found" in seen.page.locator("#found").inner_text()
        seen.page.fill("#q", "measurements")
        assert seen.page.locator("#results > li").count() == 50
        seen.page.get_by_role("button", name="Show more").press("Enter")
        assert seen.page.locator("#results > li").count() == 100
        assert seen.focused()[0] == "A"


def test_a_catalogue_that_cannot_be_read_leaves_what_the_page_lists(
    browser: Browser, catalogue: Any, tmp_path: Path
) -> None:
    address = catalogue()
    (tmp_path / "search.json").write_text("<html>")
    with visit(browser, address) as seen:
        seen.page.fill("#q", "pict")
        assert seen.page.locator("#found").inner_text() == "1 dataset found"


def test_plots_are_drawn_once_and_kept_from_build_to_build(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scidata.site import drawing

    store = MemoryStore()
    write_version(store, write_pictured(tmp_path / "pictured"))
    options = SiteOptions(environ={})
    assert "pictured/v1.0.0/shocks-map.png" in build(store, tmp_path / "out", options).written
    with monkeypatch.context() as patched:
        patched.setattr(drawing, "draw_previews", lambda opened: pytest.fail("drawn again"))
        assert build(store, tmp_path / "out", options).written == ()
    (tmp_path / "out/pictured/v1.0.0/shocks-map.png").write_bytes(b"not as it was drawn")
    assert build(store, tmp_path / "out", options).written == (
        "pictured/v1.0.0/shocks-map.png",
    )
