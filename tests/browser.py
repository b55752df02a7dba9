"""Headless Chromium for tests: Debian's own, driven by Playwright, never downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = (390, 844)
DESKTOP = (1280, 900)


def find_browser() -> str:
    """Return the path of a Chromium, or skip the test."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    found = os.environ.get("SCIDATA_CHROMIUM", found or "")
    if not found:
        pytest.skip(
            "no Chromium: apt-get install chromium, or set SCIDATA_CHROMIUM to its path"
        )
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a running browser."""
    path = find_browser()
    with sync_playwright() as playwright:
        # No sandbox of its own: tests may run as root in a container, and show their own pages.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page that is open, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Errors of the console, among them violations of the policy, and uncaught exceptions."""
    requests: list[str] = field(default_factory=list)

    def focused(self) -> Any:  # Any: JSON
        """Return tag, name and text of what has the focus."""
        return self.page.evaluate(
            "() => { const e = document.activeElement;"
            " return [e.tagName, e.name ?? e.id, e.textContent.trim()]; }"
        )


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = True,
) -> Iterator[Visit]:
    """Open a page as a new reader would, in a window of a size, light or dark."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        found = Visit(page)
        page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(url, wait_until="networkidle")
        yield found
    finally:
        context.close()
