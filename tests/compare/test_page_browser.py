"""The HTML report in a browser: it renders as it is, asks nobody for anything, and fits on a phone and on paper."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from pillion.compare.report.page import page
from tests.compare.made_up import HOSTILE, documents
from tests.conftest import cannot_test

pytestmark = pytest.mark.timeout(180)
DOCUMENTS = documents()
# As root without a sandbox, and in containers whose /dev/shm is small.
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
)  # fmt: skip
# What is wider than the page, or cut off by what it stands in.
OVERFLOWING = """
return [...document.querySelectorAll("body *")].filter(each => {
  const style = getComputedStyle(each), box = each.getBoundingClientRect();
  if (!box.width || style.clipPath !== "none" || each.closest("thead") || each.closest("svg")) return false;
  return box.right > document.documentElement.clientWidth + 1 || each.scrollWidth > each.clientWidth + 1
    && style.overflowX !== "visible";
}).map(each => each.tagName + "." + each.className + ": " + each.textContent.slice(0, 40));
"""
SHOWN_TWICE = """
return [...document.querySelectorAll("figure")].filter(each =>
  [...each.querySelectorAll(":scope > div")].filter(one => one.offsetWidth).length !== 1).length;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One headless Chromium; where there is none these tests are skipped, and where CI is true they fail."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        cannot_test("chromium and chromedriver are not both installed (.ci/browser installs them)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for each in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.set_page_load_timeout(60)
    # Not in the tab that it begins with, which has things of its own to ask and to say.
    first = found.current_window_handle
    found.switch_to.new_window("tab")
    own = found.current_window_handle
    found.switch_to.window(first)
    found.close()
    found.switch_to.window(own)
    yield found
    found.quit()


@pytest.fixture(params=list(DOCUMENTS), ids=lambda name: name.replace(" ", "-"))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each made-up document, through JSON and to a page."""
    file = tmp_path / "page.html"
    file.write_text(page(json.loads(json.dumps(DOCUMENTS[request.param]))))
    return file


def show(browser: Any, file: Path, width: int, scheme: str) -> None:
    """The page at this width, and in this colour scheme."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(file.as_uri())


def requests(browser: Any, file: Path) -> set[str]:
    """What the page asked for, itself included."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return {each["request"]["url"] for each in sent if each["documentURL"] == file.as_uri()}


def complaints(browser: Any) -> list[str]:
    """What stands on the console since this was last looked at, but for what is said of a page of the browser's own or
    of a request: those that our page makes are looked at by themselves."""
    entries = browser.get_log("browser")
    return [each["message"] for each in entries if each["source"] != "network" and "chrome" not in each["message"][:6]]


def brightness(browser: Any) -> float:
    """Of the paper, 0 to 255."""
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_the_page_renders_alone_in_light_and_dark_and_on_a_phone(browser: Any, written: Path) -> None:
    """No message on the console, nothing fetched, nothing wider than 360 pixels; one picture of the two."""
    browser.get_log("browser"), browser.get_log("performance")
    for scheme, width in (("light", 1000), ("dark", 360)):
        show(browser, written, width, scheme)
        assert (brightness(browser) > 128) == (scheme == "light")
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, browser.execute_script(OVERFLOWING)
        browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(OVERFLOWING) == []
        assert browser.execute_script(SHOWN_TWICE) == 0
        assert browser.execute_script("return document.querySelectorAll('script').length") == 0
        assert browser.execute_script(
            "return [...document.querySelectorAll('svg')].every(each =>"
            " each.ariaHidden || each.querySelector('title').textContent)"
        )
    assert complaints(browser) == []
    assert {url for url in requests(browser, written) if not url.startswith("data:")} == {written.as_uri()}


def test_on_paper_it_has_pages_and_nothing_is_cut_off(browser: Any, written: Path) -> None:
    """What is folded on the screen is open there, in dark ink on white whatever the screen is."""
    show(browser, written, 718, "dark")  # the printable width of A4
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script(OVERFLOWING) == [] and brightness(browser) == 255
    inside = "[...document.querySelectorAll('details > :not(summary)')]"
    folded = f"return {inside}.filter(each => !each.checkVisibility()).length"
    assert browser.execute_script(folded) == 0
    paper = {"preferCSSPageSize": True, "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", pdf)) > 0


def test_a_hostile_name_is_text(browser: Any, tmp_path: Path) -> None:
    """In the title, in the text and in the names of pictures: shown as it is written, and never run."""
    file = tmp_path / "page.html"
    file.write_text(page(DOCUMENTS["hostile"]))
    show(browser, file, 1000, "light")
    assert browser.execute_script("return document.querySelector('h1').textContent").startswith(HOSTILE)
    assert browser.title.startswith(HOSTILE)
    assert browser.execute_script("return document.querySelectorAll('script').length") == 0
