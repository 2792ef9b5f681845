"""
An executed notebook as one page for people who decide: no code, no script, no network, and the same page as PDF.

What a notebook shows comes from models, data and file names, so it is treated as foreign.
The template prints only kinds of output that cannot run, foreign HTML passes a list of allowed elements, a policy in
the page forbids the rest, and the finished page is read once more before it is written.

    >>> str(_harmless('<p class="note" onclick="x()">fast<script>x()</script></p>'))
    '<p class="note">fast</p>'
"""

import base64
import binascii
import html as html_text
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from markupsafe import Markup
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath

from perflib.errors import DataError, NotebookError
from perflib.records import read_json, write_bytes

_HIDDEN_TAGS = {"remove-cell", "parameters", "injected-parameters"}
_SHOWN_KINDS = ("text/html", "text/markdown", "image/png", "image/jpeg", "text/latex")
_SCRAP = "application/scrapbook.scrap."

_TEMPLATES = Path(__file__).parent / "templates"
# Which elements and attributes may stand on the page: foreign, of its frame, of formulas.
_ALLOWED = read_json(_TEMPLATES / "report" / "allowed.json")
# Their text is a program or a style, not something to read, so it goes with them.
_DROPPED_WHOLE = [
    "script",
    "style",
    "template",
    "noscript",
    "iframe",
    "object",
    "svg",
    "math",
    "title",
    "textarea",
    "select",
]
_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+\Z")
_NUMBER = re.compile(r"([<>≤≥≈~]\s*)?[+\-−–±]?[$€£]?\d[\d.,\u202f\u00a0 ]*\s*[^\s\d]{0,3}(\s*[\[(±].*|/s)?\Z")
_UNKNOWN = {"–", "—", "-", "n/a"}


def render_report(notebook: Path, html: Path, *, title: str) -> Path:
    """
    Write an executed notebook as one self-contained HTML page.

    Cell inputs, printed streams, raw cells and cells tagged ``remove-cell`` or ``parameters`` are left out.

    Args:
        notebook: The executed notebook.
        html: Where the page goes.
        title: The page's title; also its heading where the notebook has none.

    Returns:
        Path: ``html``.

    Raises:
        DataError: If ``notebook`` is not a notebook, or the page cannot be written.
        NotebookError: If a figure has no alternative text, or something that can run is left on the page.
    """
    page = BeautifulSoup(_export(notebook, title=title), "html.parser")
    _finish_math(page)
    _finish_images(page)
    _finish_tables(page)
    if page.h1 is None and page.main is not None:
        heading = page.new_tag("h1")
        heading.string = title
        page.main.insert(0, heading)
    text = str(page)
    _check(text, source=notebook.name)
    write_bytes(html, text.encode())
    return html


def _export(notebook: Path, *, title: str) -> str:
    """Run nbconvert with our own template, which escapes by itself."""
    import nbformat
    from nbconvert.exporters import TemplateExporter
    from traitlets.config import Config

    try:
        content = nbformat.read(notebook, as_version=4)
        nbformat.validate(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise DataError(f"{notebook} is not a notebook ({type(error).__name__}); run it again.") from error
    exporter = TemplateExporter(
        config=Config({"TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": _HIDDEN_TAGS}}),
        extra_template_basedirs=[str(_TEMPLATES)],
        template_name="report",
        file_extension=".html",
    )
    exporter.output_mimetype = "text/html"
    for filter_ in (_prose, _harmless, _shown_kind, _image_source):
        exporter.register_filter(filter_.__name__.removeprefix("_"), filter_)
    try:
        page, _ = exporter.from_notebook_node(
            content, resources={"report_title": title, "notebook_name": notebook.name}
        )
    except InvalidNotebook as error:
        raise NotebookError(f"{notebook.name} refers to something it does not hold ({error}); run it again.") from error
    return str(page)


class _Renderer(IPythonRenderer):  # type: ignore[misc]
    """Markdown whose formulas wait as ``<code>``, so that cleaning the page cannot tear them."""

    def inline_math(self, body: str) -> str:
        return f'<code class="math-inline">{html_text.escape(body)}</code>'

    def block_math(self, body: str) -> str:
        return f'<code class="math-block">{html_text.escape(body)}</code>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")


def _prose(source: str, attachments: dict[str, Any] | None = None) -> Markup:
    """Render Markdown to harmless HTML."""
    renderer = _Renderer(escape=False, exclude_anchor_links=True, attachments=attachments or {})
    return _harmless(MarkdownWithMath(renderer=renderer).render(source))


def _harmless(fragment: str) -> Markup:
    """Keep allowed elements and attributes of foreign HTML and the text of all others."""
    import bleach  # type: ignore[import-untyped]
    from bleach.css_sanitizer import CSSSanitizer  # type: ignore[import-untyped]

    soup = BeautifulSoup(fragment, "html.parser")
    for element in soup.find_all(_DROPPED_WHOLE):
        element.decompose()
    clean = bleach.clean(
        str(soup),
        tags=frozenset(_ALLOWED["elements"]),
        attributes=_is_allowed,
        protocols={"data"},
        css_sanitizer=CSSSanitizer(allowed_css_properties=["text-align"]),
        strip=True,
    )
    return Markup(clean)  # noqa: S704 - this is the place that makes it safe


def _is_allowed(element: str, name: str, value: str) -> bool:
    if name in {"class", "id"}:
        return True
    if name == "href":
        return element == "a" and value.startswith("#")
    if name == "src":
        return element == "img" and _IMAGE.match(value) is not None
    return name in _ALLOWED["attributes"].get(element, ())


def _shown_kind(data: Mapping[str, object]) -> str:
    """Choose what is shown of an output: a kind, ``omitted`` for what can run, or nothing for a bare scrap."""
    kinds = [kind for kind in data if not kind.startswith(_SCRAP)]
    if not kinds or kinds == ["text/plain"]:
        return "".join(kinds)
    return next((kind for kind in _SHOWN_KINDS if kind in kinds), "omitted")


def _image_source(data: str, kind: str) -> str:
    """Return a data URL; the content is decoded and encoded again, so nothing but an image's bytes gets in."""
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotebookError(f"an {kind} output of the notebook is damaged; run the notebook again.") from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _finish_math(page: BeautifulSoup) -> None:
    """Replace formulas by MathML; one that cannot be converted stays as it was written."""
    for code in page.select("code.math-inline, code.math-block"):
        display = "block" if "math-block" in code.get_attribute_list("class") else "inline"
        formula = _mathml(page, code.get_text().strip(), display=display)
        if formula is not None:
            code.replace_with(formula)


def _mathml(page: BeautifulSoup, latex: str, *, display: str) -> Tag | None:
    """Convert a formula and copy it as plain elements: its converter lets links and even scripts pass."""
    from latex2mathml.converter import convert_to_element

    def copy(element: Any) -> Tag:
        tag = page.new_tag(element.tag if element.tag in _ALLOWED["math_elements"] else "mrow")
        for key, value in element.attrib.items():
            if key in _ALLOWED["math_attributes"]:
                tag[key] = html_text.unescape(value)
        if element.text:
            tag.append(html_text.unescape(element.text))
        for child in element:
            tag.append(copy(child))
        return tag

    try:
        return copy(convert_to_element(latex, display=display))
    except Exception:  # noqa: BLE001 - the converter has no common error, and its input is still readable
        return None


def _finish_images(page: BeautifulSoup) -> None:
    """Put words in place of images that are not in the notebook; refuse those that cannot be heard."""
    number = 0
    for image in page.find_all("img"):
        alt = str(image.get("alt") or "").strip()
        if not image.get("src"):
            note = page.new_tag("span", attrs={"class": "omitted"})
            note.string = f"(An image is not part of this page: {alt or 'without description'}.)"
            image.replace_with(note)
            continue
        number += 1
        if not alt:
            heading = image.find_previous(["h1", "h2", "h3", "h4"])
            place = f" under “{heading.get_text().strip()}”" if heading else ""
            raise NotebookError(
                f"figure {number}{place} has no alternative text; describe it, for instance with fig.set_label(…)."
            )


def _finish_tables(page: BeautifulSoup) -> None:
    """Let wide tables scroll, name their header cells, and set columns of numbers to the right."""
    captions: Counter[str] = Counter()
    for table in page.find_all("table"):
        caption = table.caption.get_text().strip() if table.caption else "Table"
        captions[caption] += 1
        if captions[caption] > 1:  # who hears the page tells regions apart by their names
            caption = f"{caption} ({captions[caption]})"
        table.wrap(
            page.new_tag(
                "div", attrs={"class": "table-scroll", "role": "region", "tabindex": "0", "aria-label": caption}
            )
        )
        _finish_headers(table)
        rows = [row.find_all(["th", "td"]) for row in table.find_all("tr")]
        for cell in (cell for row in rows for cell in row):
            if "right" in str(cell.attrs.pop("style", "")):  # how Markdown says it
                _add_class(cell, "number")
        if not table.select("[colspan], [rowspan]"):
            _finish_columns(rows)


def _finish_headers(table: Tag) -> None:
    for header in table.select("thead th"):
        if not header.get_text().strip():
            header.name = "td"  # a header without words names nothing
            del header["scope"]
        elif not header.get("scope"):
            header["scope"] = "col"


def _finish_columns(rows: Sequence[Sequence[Tag]]) -> None:
    for column in range(max((len(row) for row in rows), default=0)):
        cells = [row[column] for row in rows if column < len(row)]
        values = [text for cell in cells if cell.name == "td" and (text := cell.get_text().strip())]
        if any(map(_NUMBER.match, values)) and all(_NUMBER.match(text) or text in _UNKNOWN for text in values):
            for cell in cells:
                _add_class(cell, "number")


def _add_class(cell: Tag, name: str) -> None:
    cell["class"] = " ".join([*(str(word) for word in cell.get_attribute_list("class") if word), name])


def _check(text: str, *, source: str) -> None:
    """Read the finished page as a stranger; `NotebookError` names the first thing that could run or load."""
    math = set(_ALLOWED["math_elements"])
    elements = {*_ALLOWED["elements"], *_ALLOWED["frame_elements"], *math}
    for tag in BeautifulSoup(text, "html.parser").find_all():
        if tag.name not in elements:
            raise NotebookError(f"the page of {source} would hold <{tag.name}>; remove it from the notebook.")
        known = {*_ALLOWED["frame_attributes"], *(_ALLOWED["math_attributes"] if tag.name in math else ())}
        for name, value in tag.attrs.items():
            if name == "style" or (name not in known and not _is_allowed(tag.name, name, str(value))):
                raise NotebookError(f"the page of {source} would hold `{name}` in <{tag.name}>; remove it there.")
        is_style = tag.name == "style" and re.search(r"url\(|@import|expression", tag.get_text(), re.IGNORECASE)
        if is_style or str(tag.get("http-equiv", "")).lower() == "refresh":
            raise NotebookError(f"the page of {source} would load something from elsewhere; remove it there.")
