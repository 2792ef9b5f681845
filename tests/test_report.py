"""The report is complete in itself, readable, and dead to every attack we know."""

import base64
import html
import stat
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from perflib import report
from perflib.errors import DataError, NotebookError, SetupError
from perflib.pdf import find_chromium, print_pdf
from perflib.report import render_report


def pixel() -> str:
    """Return a PNG of one pixel, base64."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


PIXEL = pixel()
DO = "window.hacked=1;alert(1)"

PAYLOADS = (
    f"<script>{DO}</script>",
    f"<SCRIPT SRC=https://example.org/x.js></SCRIPT><script>{DO}",
    f'<img src=x alt=x onerror="{DO}">',
    f'<svg onload="{DO}"><script>{DO}</script></svg>',
    f'<svg><a xlink:href="javascript:{DO}"><text>x</text></a></svg>',
    f'<a href="javascript:{DO}">x</a>',
    f'<a href="jav&#x09;ascript:{DO}">x</a>',
    f'<a href="data:text/html,<script>{DO}</script>">x</a>',
    f'<iframe srcdoc="<script>{DO}</script>"></iframe><iframe src="https://example.org"></iframe>',
    f'<object data="javascript:{DO}"></object><embed src="javascript:{DO}">',
    f'<details open ontoggle="{DO}"><summary>x</summary></details>',
    f'<p style="background:url(https://example.org/x)" onmouseover="{DO}">x</p>',
    '<style>@import "https://example.org/x.css"; body{display:none}</style>',
    '<link rel="stylesheet" href="https://example.org/x.css"><base href="https://example.org/">',
    '<meta http-equiv="refresh" content="0;url=https://example.org/">',
    f'<form action="https://example.org"><button formaction="javascript:{DO}">x</button></form>',
    f'<input autofocus onfocus="{DO}">',
    f'<video autoplay onplay="{DO}"><source src="https://example.org/x" onerror="{DO}"></video>',
    f"<math><mtext><table><mglyph><style><img src=x onerror={DO}></style></mglyph></table></mtext></math>",
    f'<noscript><p title="</noscript><img src=x onerror={DO}>"></noscript>',
    f"<!--><img src=x onerror={DO}>-->",
    f"[x](javascript:{DO})",
    f'![x](x "onerror={DO}")',
    f'![x"onerror="{DO}](https://example.org/x.png)',
    rf"$\text{{<script>{DO}</script>}}$",
    rf"$$\href{{javascript:{DO}}}{{x}}\style{{background:url(https://example.org)}}{{y}}$$",
    f'<div title="\n\n$x" onmouseover="{DO}$\n\n">',
    f"```mermaid\n</pre><script>{DO}</script>\n```",
    f"</title></style></textarea></main><script>{DO}</script>",
    f"{{{{ ''.__class__ }}}}{{% raw %}}<script>{DO}</script>",
    f'"><img src=x onerror={DO}>',
)


class Reader(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.live: list[str] = []
        self.tags: list[str] = []
        self.attributes: dict[str, list[dict[str, str]]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag, its attributes, and what in it is alive."""
        self.tags.append(tag)
        known = {name: value or "" for name, value in attrs}
        self.attributes.setdefault(tag, []).append(known)
        if tag in {"script", "iframe", "object", "embed", "base", "link", "form", "svg", "video", "input", "button"}:
            self.live.append(f"<{tag}>")
        for name, value in known.items():
            is_loading = name in {"src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset"}
            if name.startswith("on") or name == "style" or (is_loading and not value.startswith(("data:image/", "#"))):
                self.live.append(f"<{tag} {name}={value!r}>")
            if name == "http-equiv" and value != "Content-Security-Policy":
                self.live.append(f"<{tag} {name}={value!r}>")


def png(alt: object = "A pixel", **more: object) -> nbformat.NotebookNode:
    """Return the output of a figure."""
    about = {**({} if alt is None else {"alt": alt}), **more}
    return new_output(
        "display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}, metadata={"image/png": about}
    )


def shown(**data: str) -> nbformat.NotebookNode:
    """Return an output; ``text_html`` stands for text/html."""
    return new_output("display_data", data={kind.replace("_", "/", 1): content for kind, content in data.items()})


def code(*outputs: nbformat.NotebookNode, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """Return an executed cell whose source must not be seen."""
    return new_code_cell("secret_call()", execution_count=1, outputs=list(outputs), metadata={"tags": list(tags)})


def save(folder: Path, *cells: nbformat.NotebookNode) -> Path:
    """Write a notebook."""
    path = folder / "in.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def render(folder: Path, *cells: nbformat.NotebookNode, title: str = "A report") -> str:
    """Render cells and return the page."""
    return render_report(save(folder, *cells), folder / "out.html", title=title).read_text()


def notebook_with(folder: Path, *payloads: str) -> Path:
    """Write a notebook with each payload in every place that a notebook has for foreign text."""
    cells = []
    for payload in payloads:
        cells += [
            new_markdown_cell(payload),
            new_markdown_cell(f"| name |\n|--:|\n| {payload} |\n\n`{payload}`"),
            new_raw_cell(payload, metadata={"raw_mimetype": "text/html"}),
            code(
                shown(text_html=payload),
                shown(
                    text_html=f"<table class='perflib'><caption>{payload}</caption><tr><td>{payload}</td></tr></table>"
                ),
                shown(text_markdown=payload),
                shown(text_latex=f"${payload}$"),
                shown(text_plain=payload),
                new_output("display_data", data={"image/svg+xml": payload}),
                new_output("display_data", data={"application/javascript": payload, "text/plain": "<Javascript>"}),
                new_output("display_data", data={"text/vnd.mermaid": payload}),
                new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": payload}}),
                png(alt=payload, caption=payload),
                new_output("stream", name="stdout", text=payload),
                new_output("error", ename=payload, evalue=payload, traceback=[payload]),
            ),
        ]
    path = folder / "attack<b onclick=alert(1)>.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_is_live(tmp_path: Path, payload: str) -> None:
    """Foreign text in any place of a notebook ends as text or not at all."""
    page = render_report(notebook_with(tmp_path, payload), tmp_path / "out.html", title=payload).read_text()
    found = Reader(page)

    assert found.live == []
    assert found.attributes["img"][0]["alt"] == payload.strip()
    assert html.escape(payload, quote=False) in page.replace("&quot;", '"').replace("&#34;", '"').replace("&#39;", "'")


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    """One file with title, language, policy and viewport, and no address but those of its own data."""
    page = render(tmp_path, new_markdown_cell("# Claim\n\nSee [there](https://example.org/x)."), code(png()))
    found = Reader(page)

    assert page.lstrip().lower().startswith("<!doctype html>")
    assert found.attributes["html"] == [{"lang": "en"}]
    assert "<title>A report</title>" in page
    policy = next(meta["content"] for meta in found.attributes["meta"] if "http-equiv" in meta)
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.attributes["meta"]
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page


def test_code_and_streams_are_hidden(tmp_path: Path) -> None:
    """A director sees results: no source, no printed text, no warnings, no parameters, no removed cells."""
    page = render(
        tmp_path,
        new_markdown_cell("# Claim"),
        code(new_output("stream", name="stdout", text="printed"), new_output("stream", name="stderr", text="warned")),
        code(shown(text_plain="tagged"), tags=("remove-cell",)),
        code(shown(text_plain="tagged"), tags=("parameters",)),
        code(shown(text_plain="tagged"), tags=("injected-parameters",)),
        new_raw_cell("raw"),
        code(shown(text_plain="kept")),
    )

    assert "<pre>kept</pre>" in page
    assert not [word for word in ("secret_call", "printed", "warned", "tagged", ">raw<") if word in page]


def test_a_bare_scrap_shows_nothing(tmp_path: Path) -> None:
    """Data for programs leaves no trace on the page."""
    scrap = {"name": "x", "data": "for programs", "encoder": "text", "version": 1}
    page = render(tmp_path, code(new_output("display_data", data={"application/scrapbook.scrap.text+json": scrap})))

    assert "for programs" not in page
    assert "left out" not in page


def test_what_needs_a_program_is_named_not_run(tmp_path: Path) -> None:
    """A script or widget leaves a sentence behind."""
    page = render(
        tmp_path, code(new_output("display_data", data={"application/javascript": "x()", "text/plain": "js"}))
    )

    assert "left out of this page" in page
    assert "x()" not in page


@pytest.mark.parametrize("alt", [None, "", "  "])
def test_a_figure_without_alt_text_stops_the_build(tmp_path: Path, alt: str | None) -> None:
    """The error names the figure, and no page is written."""
    cells = [new_markdown_cell("## Speed"), code(png()), code(png(alt))]

    with pytest.raises(NotebookError, match="figure 2 under “Speed” has no alternative text"):
        render(tmp_path, *cells)
    assert not (tmp_path / "out.html").exists()


def test_an_image_that_is_not_one_stops_the_build(tmp_path: Path) -> None:
    """Nothing but encoded bytes gets into the address of a figure."""
    damaged = {"image/png": f'{PIXEL}"><script>{DO}</script>'}

    with pytest.raises(NotebookError, match="image/png output of the notebook is damaged"):
        render(tmp_path, code(new_output("display_data", data=damaged, metadata={"image/png": {"alt": "x"}})))


def test_an_image_in_html_needs_alt_text_too(tmp_path: Path) -> None:
    """HTML from a notebook is no way around the rule."""
    with pytest.raises(NotebookError, match="figure 1 has no alternative text"):
        render(tmp_path, code(shown(text_html=f"<img src='data:image/png;base64,{PIXEL}'>")))


def test_an_image_from_elsewhere_becomes_words(tmp_path: Path) -> None:
    """What is not in the notebook cannot be on the page."""
    page = render(tmp_path, new_markdown_cell("![The old plot](figures/old.png)"))

    assert "An image is not part of this page: The old plot." in page
    assert "<img" not in page


def test_an_attachment_is_embedded(tmp_path: Path) -> None:
    """A picture pasted into Markdown stays on the page."""
    cell = new_markdown_cell("![A pixel](attachment:p.png)", attachments={"p.png": {"image/png": PIXEL}})

    assert Reader(render(tmp_path, cell)).attributes["img"] == [
        {"alt": "A pixel", "src": f"data:image/png;base64,{PIXEL}"}
    ]


def test_a_missing_attachment_is_one_sentence(tmp_path: Path) -> None:
    """A notebook that lost its picture is named."""
    with pytest.raises(NotebookError, match="refers to something it does not hold"):
        render(tmp_path, new_markdown_cell("![A pixel](attachment:p.png)"))


def test_a_caption_stands_under_its_figure(tmp_path: Path) -> None:
    """The caption of a figure's metadata is shown."""
    assert "<figcaption>Shorter is better.</figcaption>" in render(tmp_path, code(png(caption="Shorter is better.")))


@pytest.mark.parametrize(
    ("source", "element"),
    [
        (r"time $t_c$ here", "msub"),
        (r"$$\frac{a}{b}$$", "mfrac"),
        (r"\begin{equation}\sqrt{x}\end{equation}", "msqrt"),
        (r"$a < b$ and $c$", "mo"),
    ],
)
def test_formulas_become_mathml(tmp_path: Path, source: str, element: str) -> None:
    """Inline, displayed and environment formulas need no script."""
    page = render(tmp_path, new_markdown_cell(source))

    assert {"math", element} <= set(Reader(page).tags)
    assert "$" not in page.split("</style>")[1]


def test_a_formula_that_cannot_be_converted_stays_readable(tmp_path: Path) -> None:
    """The fallback shows what was written."""
    assert r'<code class="math-inline">\frac{</code>' in render(tmp_path, new_markdown_cell(r"broken $\frac{$ here"))


def test_tables_keep_their_structure(tmp_path: Path) -> None:
    """Captions, scopes and classes survive, header cells get a scope, and columns of numbers go right."""
    table = (
        "<table class='perflib'><caption>Speed</caption><thead><tr><th scope='col'>Model</th><th>Latency [ms]</th>"
        "<th>Speedup</th><th>Verdict</th></tr></thead><tbody><tr class='baseline'><td>a</td><td>1 018.4</td><td>–</td>"
        "<td>reference</td></tr><tr><td>int8</td><td>9.3 ± 0.2</td><td>1.98× (1.93 to 2.04)</td>"
        "<td><span class='verdict approved'>approved</span></td></tr></tbody></table>"
    )
    page = render(tmp_path, code(shown(text_html=table)))

    assert '<div aria-label="Speed" class="table-scroll" role="region" tabindex="0"><table class="perflib">' in page
    assert '<th scope="col">Model</th>' in page
    assert '<th class="number" scope="col">Speedup</th><th scope="col">Verdict</th>' in page
    assert '<td>a</td><td class="number">1 018.4</td><td class="number">–</td><td>reference</td>' in page
    assert '<span class="verdict approved">approved</span>' in page


def test_markdown_tables_keep_their_alignment(tmp_path: Path) -> None:
    """Alignment is a class, because the page has no inline style."""
    page = render(tmp_path, new_markdown_cell("| a | b |\n|:--|--:|\n| x | y |"))

    assert '<td>x</td>\n<td class="number">y</td>' in page


@pytest.mark.parametrize(
    "text", ["1.42×", "12.3 ms", "−0.2", "+3 %", "98.1", "1 204", "< 5 ms", "0.9 [0.8, 1.0]", "7/s"]
)
def test_numbers_are_recognised(text: str) -> None:
    """What a column of numbers may hold."""
    assert report._NUMBER.match(text)


@pytest.mark.parametrize("text", ["int8", "2 cores, AVX", "20261101-120000_x", "8 cores", "", "1 of the slices"])
def test_words_are_not_numbers(text: str) -> None:
    """What must stay on the left."""
    assert not report._NUMBER.match(text)


def test_a_page_without_heading_gets_its_title(tmp_path: Path) -> None:
    """Every page has one first heading."""
    assert "<h1>Claims &amp; &lt;facts&gt;</h1>" in render(tmp_path, title="Claims & <facts>")
    assert Reader(render(tmp_path, new_markdown_cell("# Own"))).tags.count("h1") == 1


def test_the_same_notebook_gives_the_same_page(tmp_path: Path) -> None:
    """A page holds no time and no chance."""
    cells = [new_markdown_cell("# Claim $x$"), code(png())]

    assert render(tmp_path, *cells) == render(tmp_path, *cells)


@pytest.mark.parametrize(
    "text",
    [
        "<p>x</p><script>x()</script>",
        "<p onclick='x()'>x</p>",
        "<a href='https://example.org'>x</a>",
        "<img alt='x' src='https://example.org/x.png'>",
        "<img alt='x' src='data:image/svg+xml;base64,AAAA'>",
        "<svg></svg>",
        "<td style='color:red'>x</td>",
        "<style>@import 'x'</style>",
        "<meta http-equiv='Refresh' content='0'>",
        "<math href='x'></math>",
    ],
)
def test_the_last_reading_refuses_what_slipped_through(text: str) -> None:
    """The page is checked as a stranger would read it, whatever came before."""
    with pytest.raises(NotebookError, match="the page of in"):
        report._check(text, source="in.ipynb")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"cells": 3}', '{"nbformat": 4, "nbformat_minor": 5, "cells": [1]}']
)
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str) -> None:
    """A file of another kind is a data error in one sentence."""
    path = tmp_path / "in.ipynb"
    path.write_text(content)

    with pytest.raises(DataError, match="is not a notebook"):
        render_report(path, tmp_path / "out.html", title="x")


def test_a_missing_notebook_is_refused(tmp_path: Path) -> None:
    """No notebook, no page."""
    with pytest.raises(DataError, match="is not a notebook"):
        render_report(tmp_path / "none.ipynb", tmp_path / "out.html", title="x")


def test_without_a_browser_the_pdf_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_chromium() is None
    with pytest.raises(SetupError, match="install Chromium"):
        print_pdf(tmp_path / "a.html", tmp_path / "a.pdf")


def script(folder: Path, text: str) -> str:
    """Write a program that stands in for the browser."""
    path = folder / "fake-browser"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_browser_that_prints_nothing_is_named(tmp_path: Path) -> None:
    """What the browser said is in the sentence, and an old PDF stays."""
    (tmp_path / "a.pdf").write_bytes(b"old")

    with pytest.raises(SetupError, match="it said: no display"):
        print_pdf(tmp_path / "a.html", tmp_path / "a.pdf", chromium=script(tmp_path, "echo no display >&2; exit 1"))
    assert (tmp_path / "a.pdf").read_bytes() == b"old"


def test_a_browser_that_hangs_is_ended(tmp_path: Path) -> None:
    """Printing has a time limit."""
    with pytest.raises(SetupError, match=r"did not print a\.html in 0\.2 s"):
        print_pdf(tmp_path / "a.html", tmp_path / "a.pdf", chromium=script(tmp_path, "exec sleep 9"), timeout_sec=0.2)
