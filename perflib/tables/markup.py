"""What every table is made of: a caption, scoped headers, rows with the baseline's marked, and escaped words."""

import html
from collections.abc import Collection, Sequence


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    marked_rows: Collection[int] = (),
    quiet_rows: Collection[int] = (),
    has_total: bool = False,
) -> str:
    """
    Return an HTML table.

    Args:
        caption: One sentence: what it shows, on which machine, with how many.
        head: Column names with their units.
        rows: Cells that are already HTML; the first of each row is its header.
        marked_rows: The baseline's.
        quiet_rows: Those that stand behind the others.
        has_total: Whether the last row sums up the others.
    """
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = []
    for index, row in enumerate(rows):
        kind = ' class="baseline"' if index in marked_rows else ""
        if index in quiet_rows:
            kind = ' class="quiet"'
        if has_total and index == len(rows) - 1:
            kind = ' class="total"'
        cells = "".join(f"<td>{cell}</td>" for cell in row[1:])
        body.append(f'<tr{kind}><th scope="row">{row[0]}</th>{cells}</tr>')
    return (
        f'<table class="perflib"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def pill(verdict: str) -> str:
    """Return a verdict word that the report colours."""
    return f'<span class="verdict {html.escape(verdict.lower())}">{html.escape(verdict)}</span>'
