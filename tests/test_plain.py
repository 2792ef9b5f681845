"""Foreign words in Markdown: whatever was written is read as it was written, and does nothing."""

import mistune
import pytest
from bs4 import BeautifulSoup

from perflib.plain import markdown

NASTY = (
    "small-and-safe",
    "my_model_v2",
    "_not emphasised_",
    "__nor strong__",
    "*nor* **this**",
    "1. no list",
    "1) nor this",
    "3.1 seconds",
    "- no item",
    "+ nor this",
    "# no heading",
    "> no quote",
    "= no underline",
    "`no code`",
    "[no link](https://evil.example)",
    "![no image](https://evil.example/x.png)",
    "<script>alert(1)</script>",
    "<b>no tag</b> &amp; no entity",
    "a | cell | border",
    "~~not struck~~",
    "a back\\slash",
    "[^1] no footnote",
)


@pytest.mark.parametrize("text", NASTY)
def test_a_reader_sees_what_was_written(text: str) -> None:
    """One paragraph, the same characters, no element inside."""
    page = BeautifulSoup(
        str(mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "footnotes"])(markdown(text))),
        "html.parser",
    )

    assert page.get_text().strip() == text
    assert [tag.name for tag in page.find_all()] == ["p"]


@pytest.mark.parametrize("text", NASTY)
def test_a_cell_of_a_table_stays_one_cell(text: str) -> None:
    """Two columns before and after."""
    rows = f"| a | b |\n| --- | --- |\n| {markdown(text)} | x |\n"
    page = BeautifulSoup(
        str(mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])(rows)), "html.parser"
    )

    assert [cell.get_text().strip() for cell in page.find_all("td")] == [text, "x"]


def test_several_lines_become_one() -> None:
    """A new line could begin anything."""
    assert markdown("a\n\n# b") == "a # b"
