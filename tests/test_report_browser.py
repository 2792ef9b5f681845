"""The report in a real browser: seen on a screen and a telephone, printed, and attacked."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from perflib.pdf import print_pdf
from perflib.report import render_report
from tests import browser
from tests.test_report import PAYLOADS, notebook_with

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browser.why_not() is not None, reason=browser.why_not() or ""),
]

HEADLINE = """<div class="headline approved"><p><span class="verdict approved">approved</span>
<strong>int8 answers single requests 1.98× faster (95 % interval 1.93 to 2.04)</strong> and stays within the agreed
accuracy on every slice. One candidate is quarantined.</p></div>
<ul class="facts">
<li><strong>1.98×</strong> faster for one request, median</li>
<li><strong>2.31×</strong> more examples per second offline</li>
<li><strong>0.26</strong> of the baseline's size on disk</li>
<li><strong>−0.2 pp</strong> accuracy on 8 544 examples</li>
</ul>"""

TABLE = """<table class="perflib">
<caption>Candidates against the baseline, speed and quality side by side</caption>
<thead><tr><th>Model</th><th>Latency, median [ms]</th><th>Speedup (95 % interval)</th><th>Size [MB]</th>
<th>Accuracy [%]</th><th>Verdict</th></tr></thead><tbody>
<tr class="baseline"><th scope="row">baseline</th><td>18.4</td><td>1</td><td>90.9</td><td>91.4</td>
<td>reference</td></tr>
<tr><th scope="row">int8</th><td>9.31</td><td>1.98× (1.93 to 2.04)</td><td>23.6</td><td>91.2</td>
<td><span class="verdict approved">approved</span></td></tr>
<tr><th scope="row">bf16</th><td>15.2</td><td>1.21× (1.18 to 1.24)</td><td>45.5</td><td>91.4</td>
<td><span class="verdict undecided">undecided</span></td></tr>
<tr><th scope="row">prune50_int8</th><td>8.87</td><td>2.07× (2.01 to 2.15)</td><td>23.6</td><td>86.0</td>
<td><span class="verdict quarantined">quarantined</span></td></tr>
<tr><th scope="row">distill</th><td>–</td><td>–</td><td>–</td><td>–</td>
<td><span class="verdict failed">failed</span></td></tr></tbody></table>"""

MACHINE = """<details><summary>The machine and the agreed limits</summary><table class="perflib">
<tbody><tr><th scope="row">Processor</th><td>8 cores, AVX-512 with VNNI and AMX</td></tr>
<tr><th scope="row">Memory</th><td>31.3 GiB</td></tr></tbody></table></details>"""


def draw() -> str:
    """Return a small bar chart, base64."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.barh(["int8", "bf16", "baseline"], [9.31, 15.2, 18.4], color=["#0072b2", "#0072b2", "#9aa5ae"], height=0.6)
    axes.set_xlabel("Latency of one request, median [ms]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("int8 halves the waiting time", loc="left", fontweight="bold")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200)
    return base64.b64encode(content.getvalue()).decode()


def sample() -> nbformat.NotebookNode:
    """Return an executed report as a director would receive it."""

    def shows(kind: str, content: str, **about: str) -> nbformat.NotebookNode:
        output = new_output("display_data", data={kind: content}, metadata={kind: about} if about else {})
        return new_code_cell("show()", execution_count=1, outputs=[output])

    return new_notebook(
        cells=[
            new_markdown_cell(
                "# Can the review classifier cost half as much?\n\n<p class='lead'>We made the model smaller in four "
                "ways and measured each against the model in service, on the same machine, in turn.</p>"
            ),
            shows("text/html", HEADLINE),
            shows("text/html", TABLE),
            shows(
                "image/png",
                draw(),
                alt="Bars of median latency: baseline 18.4 ms, bf16 15.2 ms, int8 9.3 ms",
                caption="Median over 12 pairs of fresh processes. Shorter is better; the axis starts at zero.",
            ),
            new_markdown_cell(
                "## What we recommend\n\n1. Put **int8** into service for single requests.\n"
                "2. Keep *prune50_int8* out: it loses 5.4 points of accuracy.\n"
                "3. Measure bf16 again on a machine with AMX.\n\n"
                "## How sure we are\n\n"
                "The speedup is the ratio of times, averaged on the logarithmic scale over $n$ pairs:\n\n"
                r"$$s = \exp\left(\frac{1}{n}\sum_{i=1}^{n} \ln\frac{t_{b,i}}{t_{c,i}}\right)$$"
                "\n\nA candidate is approved only if its whole interval is above the smallest gain agreed on.\n\n"
                "| Slice | Examples | Change [pp] |\n|:--|--:|--:|\n"
                "| short reviews | 2 841 | −0.1 |\n| long reviews | 1 204 | −0.4 |\n"
            ),
            shows(
                "text/html", "<p class='note warning'>Two of twelve pairs ran while another job used the machine.</p>"
            ),
            shows("text/html", MACHINE),
        ]
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of this module."""
    with browser.driver() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render the sample report."""
    folder = tmp_path_factory.mktemp("report")
    nbformat.write(sample(), folder / "04_report.ipynb")
    return render_report(folder / "04_report.ipynb", folder / "report.html", title="Review classifier: report")


def test_the_page_opens_cleanly(chromium: Any, report: Path) -> None:
    """Title, figures and their descriptions are there, the console is silent, and nothing is fetched."""
    chromium.get(report.as_uri())

    assert chromium.title == "Review classifier: report"
    assert all(width > 0 and alt for width, alt in browser.images(chromium))
    assert len(browser.images(chromium)) == 1
    assert browser.console_errors(chromium) == []
    assert browser.requested(chromium) <= {"file", "data"}


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_window(chromium: Any, report: Path, width: int) -> None:
    """Neither a telephone nor a desktop has to scroll the page sideways."""
    chromium.get(report.as_uri())
    browser.resize(chromium, width)

    assert browser.overflow_pixels(chromium) <= 0


def test_the_words_of_verdicts_can_be_read(chromium: Any, report: Path) -> None:
    """Every pill has the contrast of WCAG AA, 4.5 to 1."""
    chromium.get(report.as_uri())
    pairs = chromium.execute_script(
        "return [...document.querySelectorAll('.verdict')].map(e => {"
        "const s = getComputedStyle(e); return [s.color, s.backgroundColor]})"
    )

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert len(pairs) == 5
    for pair in pairs:
        dark, light = sorted(luminance(colour) for colour in pair)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("width", [390, 1280])
def test_everybody_can_read_the_page(chromium: Any, report: Path, width: int) -> None:
    """axe-core finds nothing that breaks WCAG 2 A or AA: contrast, names, structure."""
    chromium.get(report.as_uri())
    browser.resize(chromium, width)

    assert browser.accessibility_violations(chromium) == []


def test_a_page_that_some_cannot_read_is_found(chromium: Any, tmp_path: Path) -> None:
    """The check itself sees pale words, a picture without words and a page without a language."""
    page = tmp_path / "page.html"
    page.write_text('<html><title>x</title><body><p style="color:#ddd">pale</p><img src="data:,x"></body></html>')
    chromium.get(page.as_uri())

    rules = {one.partition(":")[0] for one in browser.accessibility_violations(chromium)}
    assert {"color-contrast", "image-alt", "html-has-lang"} <= rules


def test_formulas_are_drawn_by_the_browser(chromium: Any, report: Path) -> None:
    """MathML takes room on the page without any script."""
    chromium.get(report.as_uri())
    sizes = chromium.execute_script(
        "return [...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
    )

    assert len(sizes) == 2
    assert all(size > 5 for size in sizes)


def test_no_payload_comes_alive(chromium: Any, tmp_path: Path) -> None:
    """A notebook full of attacks opens no dialog, runs nothing and asks for nothing."""
    from selenium.common.exceptions import NoAlertPresentException

    page = render_report(notebook_with(tmp_path, *PAYLOADS), tmp_path / "page.html", title=PAYLOADS[0])
    chromium.get(page.as_uri())

    with pytest.raises(NoAlertPresentException):
        _ = chromium.switch_to.alert.text
    assert chromium.execute_script("return window.hacked") is None
    assert chromium.execute_script("return document.scripts.length") == 0
    assert browser.requested(chromium) <= {"file", "data"}


def test_the_page_prints(report: Path, tmp_path: Path) -> None:
    """The PDF is a PDF and has pages."""
    pdf = print_pdf(report, tmp_path / "out" / "report.pdf")

    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 0
