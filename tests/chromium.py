"""Debian's Chromium, for tests of pages: as wide as a screen or a phone, by day or by night."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

SCREEN, PHONE = 1280, 375
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


@contextmanager
def started(profile: Path) -> Iterator["Chrome"]:
    """Start Chromium with a profile of its own, and end it."""
    from selenium import webdriver

    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.fail(f"{' and '.join(missing)} not found: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(programs["chromedriver"]))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def open_page(browser: "Chrome", address: str, width: int, scheme: str = "light") -> None:
    """Open a page in a window of a width, for a reader who prefers light or dark."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # type: ignore[no-untyped-call]  # so is the library's own code
    browser.get(address)


def requests(browser: "Chrome") -> list[str]:
    """Return the addresses that the browser has asked for since the page was opened."""
    entries: list[Any] = browser.get_log("performance")  # type: ignore[no-untyped-call]  # as above
    events = [json.loads(entry["message"])["message"] for entry in entries]
    sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
    return [each["params"]["request"]["url"] for each in sent]
