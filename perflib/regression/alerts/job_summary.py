"""A check and its alerts on the page of a GitHub job, where the job names a file for that."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from perflib.regression.alerts.escaping import markdown_code, markdown_words
from perflib.regression.alerts.message import markdown
from perflib.regression.alerts.quantities import change_words
from perflib.results.regression import Alert, Check

VARIABLE = "GITHUB_STEP_SUMMARY"
# GitHub refuses the whole summary of a step that is larger.
MAX_SUMMARY_BYTES = 1024 * 1024
_CUT = "\n\nThe summary was cut here; `perflib alerts list` shows the rest.\n"


def append_job_summary(check: Check, alerts: Iterable[Alert], environ: Mapping[str, str] = os.environ) -> bool:
    """
    Append the check to the job's summary.

    Args:
        check: What was found.
        alerts: Those that it raised or added to.
        environ: Where the name of the file is.

    Returns:
        Whether something was written; a summary that cannot be written changes nothing about the check.
    """
    name = environ.get(VARIABLE, "")
    if not name:
        return False
    path = Path(name)
    try:
        room_bytes = MAX_SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
        text = _fitting(job_summary(check, alerts), room_bytes)
        with path.open("ab") as file:
            file.write(text)
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return False
    return bool(text)


def job_summary(check: Check, alerts: Iterable[Alert]) -> str:
    """Return a check and its alerts as Markdown."""
    parts = [
        f"## Regression check of {markdown_code(check.run_id)}",
        markdown_words(check.sentence),
        f"Machine: {markdown_words(check.machine)} ({markdown_code(check.hardware_class)}). "
        f"{markdown_words(check.noise_sentence)}",
    ]
    if check.quarantine.is_quarantined:
        reasons = "; ".join(check.quarantine.reasons)
        parts.append(f"**The machine is in quarantine**, so nothing here counts: {markdown_words(reasons)}")
    rows = [
        f"| {markdown_code(str(one.series)).replace('|', '¦')} | {one.state} | "
        f"{markdown_words(change_words(one.nomination)) if one.nomination else ''} |"
        for one in check.series
        if one.state != "quiet"
    ]
    quiet_count = len(check.series) - len(rows)
    if rows:
        parts.append("\n".join(["| Series | State | Change |", "|---|---|---|", *rows]))
    if quiet_count:
        parts.append(f"Quiet: {quiet_count} {'other ' if rows else ''}series.")
    for title, keys in (("Appeared", check.appeared), ("Disappeared", check.disappeared)):
        if keys:
            parts.append(f"{title}: {', '.join(markdown_code(str(key)) for key in keys)}")
    return "\n\n".join([*parts, *(markdown(alert) for alert in alerts)]) + "\n"


def _fitting(text: str, room_bytes: int) -> bytes:
    content = text.encode()
    if len(content) <= room_bytes:
        return content
    kept = room_bytes - len(_CUT.encode())
    if kept <= 0:
        return b""
    return content[:kept].decode(errors="ignore").encode() + _CUT.encode()
