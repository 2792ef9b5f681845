"""
Foreign words where they cannot do anything: what people, models and data wrote, in a CSV cell or a line of Markdown.

HTML needs nothing of ours: `html.escape` does it.
"""

import re
from typing import Any

# Also in the full width that Japanese and Chinese spreadsheets take for the same.
_FORMULA_STARTS = frozenset("=+-@＝＋－＠")
# The quote is among them so that one that stood there already can be told from ours.
_CELL_STARTS = ("\t", "\r", "\n", "'")
# An underscore between letters is only itself; a dash or a hash means something where a line begins.
_MARKUP = re.compile(r"([\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])|\A[#+-])")
_NUMBERED = re.compile(r"\A(\d{1,9})([.)])(?=\s|\Z)")


def plain_cell(value: Any) -> str:
    """
    Return a cell that no spreadsheet takes for a formula.

    Example:
        >>> plain_cell("=1+1"), plain_cell(" = yes"), plain_cell("'tis"), plain_cell(-0.5)
        ("'=1+1", "' = yes", "''tis", '-0.5')
    """
    text = "" if value is None else str(value)
    if isinstance(value, int | float):
        return text
    # Blanks and what nobody sees are passed over: some programs drop them and then see the formula.
    first = next((one for one in text if one.isprintable() and not one.isspace()), "")
    return f"'{text}" if first in _FORMULA_STARTS or text.startswith(_CELL_STARTS) else text


def markdown(text: str) -> str:
    r"""
    Return a text for one line of Markdown: no markup, no HTML, no new line, no border of a table's cell.

    Example:
        >>> print(markdown("a|b <b>*c*</b>"), markdown("my_model-2: 3.1 s"), markdown("# 1"))
        a\|b &lt;b&gt;\*c\*&lt;/b&gt; my_model-2: 3.1 s \# 1
    """
    line = _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", " ".join(text.split())))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
