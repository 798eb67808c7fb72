"""The report in a browser: drawn, quiet, and narrow enough. Skipped where Chromium is missing."""

import json
import shutil

import pytest

from hpsearch import Hyperband, Random
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Failure
from hpsearch.evaluators import Holdout, KFold
from hpsearch.store import Store
from tests.builders import EVIL
from tests.filled import fill

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromium-driver"),
]

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip

FAULTS = """
const drawings = [...document.querySelectorAll(".drawing")];
const narrow = document.documentElement.scrollWidth > arguments[0] ? ["the page is too wide"] : [];
const empty = drawings.filter((at) => !at.querySelector(".main-svg")).map((at) => at.id);
const cut = drawings.filter((at) => at.scrollWidth > at.clientWidth + 1).map((at) => at.id + " is cut");
return [...narrow, ...empty, ...cut, ...(drawings.length > 10 ? [] : ["few drawings"]),
  ...(window.hacked ? ["hacked"] : [])];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(params=["hyperband", "folds"])
def page(request, hpsearch, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        failure = {3: Failure("exception", EVIL, EVIL)}
        if request.param == "hyperband":
            fill(store, Hyperband(max_epochs=9), Holdout(rows=9), study=EVIL, fail=failure)
        else:
            fill(
                store, Random(trials=24, epochs=12), KFold(4), study=EVIL, folds=4, fail=failure,
                metrics=[Metric("f1_macro", "max"), Metric(EVIL, "max")],
            )  # fmt: skip
    assert hpsearch("report", EVIL, "-o", "report.html")[0] == 0
    return (tmp_path / "report.html").as_uri()


def test_everything_is_drawn_without_an_error_or_a_request(browser, page):
    from selenium.webdriver.support.ui import WebDriverWait

    def wait_for(theme):
        drawn = "return document.documentElement.dataset.drawn === arguments[0]"
        WebDriverWait(browser, 60).until(lambda b: b.execute_script(drawn, theme))

    for width, theme, other in ((380, "light", "dark"), (1400, "dark", "light")):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        browser.get(page)
        wait_for(theme)
        assert browser.execute_script(FAULTS, width) == []
        browser.execute_script("document.getElementById('theme').click()")
        wait_for(other)
        assert browser.execute_script(FAULTS, width) == []
        browser.execute_script("localStorage.clear()")
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"
    ]
    assert page in asked
    quiet = ("file:", "data:", "blob:", "chrome:", "chrome-untrusted:")
    assert [url for url in asked if not url.startswith(quiet)] == []


def test_the_ranking_is_sorted_and_shown_whole_on_demand(browser, page):
    browser.get(page)
    ranks = (
        "return [...document.querySelectorAll('.ranking tbody tr')]"
        ".filter((row) => row.offsetParent).map((row) => Number(row.cells[0].dataset.v))"
    )
    assert browser.execute_script(ranks) == list(range(1, len(browser.execute_script(ranks)) + 1))
    browser.execute_script("document.querySelector('button.more')?.click()")
    every = browser.execute_script(ranks)
    head = "document.querySelector('.ranking th button').click();"
    browser.execute_script(head * 2)
    assert browser.execute_script(ranks) == every[::-1]
