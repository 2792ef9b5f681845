"""Start a headless Chromium for tests of pages, and ask a page the questions that every page of ours must answer."""

import contextlib
import importlib.resources
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perflib.pdf import find_chromium


def why_not() -> str | None:
    """Say what is missing for a browser test; None if nothing is."""
    if find_chromium() is None:
        return "no Chromium on PATH"
    if shutil.which("chromedriver") is None:
        return "no chromedriver on PATH"
    missing = [name for name in ("selenium", "axe_core_python") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


@contextlib.contextmanager
def driver() -> Iterator[Any]:
    """Run a browser with an empty profile that calls nobody on its own; console and network are logged."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = find_chromium() or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",  # tests run as root in containers, and open only what they wrote
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        browser.set_page_load_timeout(60)
        browser.get("about:blank")
        requested(browser)  # forget the browser's own first page
        try:
            yield browser
        finally:
            browser.quit()


def resize(browser: Any, width: int, height: int = 900) -> None:
    """Give the page a width in CSS pixels; a window alone cannot be as narrow as a telephone."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def overflow_pixels(browser: Any) -> int:
    """Return how far the page is wider than the window."""
    return int(browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth"))


def console_errors(browser: Any) -> list[str]:
    """Return the severe messages of the console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser: Any) -> set[str]:
    """Return the schemes of everything that pages asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return {url.partition(":")[0] for url in urls}


def images(browser: Any) -> list[tuple[int, str]]:
    """Return the natural width and alternative text of every image."""
    found = browser.execute_script("return [...document.images].map(i => [i.naturalWidth, i.alt])")
    return [(int(width), str(alt)) for width, alt in found]


def accessibility_violations(browser: Any) -> list[str]:
    """Let axe-core look for what breaks WCAG 2 A and AA; return each rule with the first element that breaks it."""
    script = (importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    browser.execute_script(script)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa']})"
        ".then(r => done({passed: r.passes.length, broken: r.violations.map(v => [v.id, v.nodes[0].html])}))"
    )
    assert found["passed"] > 0, "axe-core has looked at nothing"
    return [f"{rule}: {element}" for rule, element in found["broken"]]


def screenshot(browser: Any, path: Path) -> Path:
    """Save the whole page as a PNG."""
    import base64

    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return window.innerWidth")
    resize(browser, width, height)
    reply = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    path.write_bytes(base64.b64decode(reply["data"]))
    return path
