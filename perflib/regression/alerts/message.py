"""
What an on-call engineer reads, and nothing else: what got worse, by how much, since when, where, why, and what to do.

The same lines are written as plain text (mails, pages, chats) and as Markdown (a job summary). Every word that came
from a file goes through `escaping` on its way.
"""

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Sequence

from perflib.regression.alerts.escaping import markdown_code, markdown_words, plain_words
from perflib.regression.alerts.quantities import (
    change_words,
    measured_words,
    ratio_words,
    short_change,
    swap_words,
    worse_words,
)
from perflib.results.history import NO_SCENARIO
from perflib.results.regression import Alert, Confirmation, Nomination

SUBJECT_CHARS = 120
_MOST_LINES_COUNT = 20
_NAME_CHARS = 60


@dataclasses.dataclass(frozen=True)
class _Style:
    """How names, sentences and commands are written."""

    name: Callable[[str], str]
    words: Callable[[str], str]
    command: Callable[[str], str]
    title: Callable[[str], str]


_PLAIN = _Style(plain_words, plain_words, plain_words, str.upper)
_MARKDOWN = _Style(markdown_code, markdown_words, markdown_code, lambda title: f"**{title}**")
_Section = tuple[str, Sequence[str]]


def subject(alert: Alert) -> str:
    """Return one line of at most 120 characters: what, where, and the ulid by which a receiver knows it again."""
    mark = f" ({plain_words(alert.ulid)})"
    head = f"perflib: {_what(alert)}"
    room = SUBJECT_CHARS - len(mark)
    return (head if len(head) <= room else f"{head[: room - 1]}…") + mark


def plain(alert: Alert) -> str:
    """Return the message as plain text."""
    return "\n\n".join(
        [_lead(alert, _PLAIN)]
        + [
            "\n".join([_PLAIN.title(title), *(f"- {line}" for line in lines)])
            for title, lines in _sections(alert, _PLAIN)
        ]
    )


def markdown(alert: Alert) -> str:
    """Return the message as Markdown."""
    return "\n\n".join(
        [f"### {_MARKDOWN.words(subject(alert))}", _lead(alert, _MARKDOWN)]
        + [
            f"{_MARKDOWN.title(title)}\n\n" + "\n".join(f"- {line}" for line in lines)
            for title, lines in _sections(alert, _MARKDOWN)
        ]
    )


def _what(alert: Alert) -> str:
    candidates = list(dict.fromkeys(one.series.candidate for one in alert.nominations))
    who = ", ".join(_short(one) for one in candidates[:2]) + (" …" if len(candidates) > 2 else "")
    # Of ``package.module:Class`` the class says enough in one line.
    workload = _short(alert.workload.rpartition(":")[2])
    place = f"{who} of {workload}" if who else workload
    if alert.kind == "benchmark":
        return f"mend the benchmark of {place}: it cries wolf"
    figure = _figure(alert)
    return f"{place} {worse_words(alert)}{'' if figure is None else f' ({figure})'}"


def _figure(alert: Alert) -> str | None:
    for one in alert.confirmations:
        if one.verdict == "CONFIRMED" and one.ratio is not None:
            return short_change(one.ratio, one.family)
    worse = next((one for one in alert.nominations if one.is_worse), None)
    if worse is None:
        return None
    return f"{_short(worse.series.metric)} {change_words(worse).partition(',')[0]}"


def _lead(alert: Alert, style: _Style) -> str:
    owner = "nobody is named as its owner" if alert.owner is None else f"owner: {style.words(alert.owner)}"
    if alert.kind == "benchmark":
        return (
            f"The benchmark of {style.name(alert.workload)} cries wolf: two alerts in a row from the series below were "
            f"false. It pages nobody for them any more until it is mended ({owner})."
        )
    return f"Alert {style.name(alert.ulid)} is {alert.state}; {owner}."


def _sections(alert: Alert, style: _Style) -> list[_Section]:
    where = ("On which machine", _machine(alert, style))
    what_to_do = ("What to do", _actions(alert, style))
    if alert.kind == "benchmark":
        return [("What it said last", _series(alert.nominations, style)), where, what_to_do]
    worse = [one for one in alert.nominations if one.is_worse]
    better = [one for one in alert.nominations if not one.is_worse]
    ruled_out = _ruled_out(alert.confirmations, style)
    found: list[_Section] = [
        ("What got worse", _series(worse, style)),
        ("What got better and is not explained", _series(better, style)),
        ("By how much, measured again side by side", _measured(alert, style)),
        ("Since when", _since(alert, style)),
        where,
        ("Why", _causes(alert.confirmations, style)),
        ("What it is not", ruled_out),
        what_to_do,
    ]
    return [section for section in found if section[1]]


def _series(nominations: Sequence[Nomination], style: _Style) -> list[str]:
    lines = []
    for one in nominations[:_MOST_LINES_COUNT]:
        key = one.series
        where = "" if key.scenario == NO_SCENARIO else f" {style.name(key.scenario)}"
        runs = "1 run" if one.after_count == 1 else f"{one.after_count:,} runs"
        name = f"{style.name(key.candidate)}{where} {style.name(key.metric)}"
        lines.append(f"{name}: {style.words(change_words(one))} (over {runs}, seen by the rule {one.rule})")
    if len(nominations) > _MOST_LINES_COUNT:
        lines.append(f"and {len(nominations) - _MOST_LINES_COUNT} more")
    return lines


def _measured(alert: Alert, style: _Style) -> list[str]:
    def said(one: Confirmation) -> str:
        # A cause has a section of its own; what is not confirmed needs its reason here.
        why = "" if one.verdict == "CONFIRMED" and one.culprits else f"; {style.words(one.sentence)}"
        return f"{style.name(one.candidate)}, {one.family}: {style.words(measured_words(one))}{why}"

    return [said(one) for one in alert.confirmations] or ["not measured again yet: this is what the history shows"]


def _since(alert: Alert, style: _Style) -> list[str]:
    lines = [
        f"last good run: {style.name(alert.good_run_id)} ({style.name(alert.good_run_ulid)})",
        f"first worse run: {style.name(alert.since_run_id)} ({style.name(alert.since_run_ulid)})",
    ]
    return lines if alert.run_id == alert.since_run_id else [*lines, f"seen in run: {style.name(alert.run_id)}"]


def _machine(alert: Alert, style: _Style) -> list[str]:
    place = f"hardware class {style.name(alert.hardware_class)}, host {style.name(alert.host_id)}"
    return [style.words(alert.machine), place]


def _causes(confirmations: Iterable[Confirmation], style: _Style) -> list[str]:
    lines = []
    for one in confirmations:
        head = f"{style.name(one.candidate)}, {one.family}"
        for culprit in one.culprits:
            alone = "" if culprit.ratio is None else f"; alone it makes {ratio_words(culprit.ratio, one.family)}"
            lines.append(f"{head}: {culprit.component}, {style.words(culprit.detail)}{style.words(alone)}")
        if one.verdict == "CONFIRMED" and not one.culprits:
            tried = "; ".join(swap_words(rerun, one.family, plain_words) for rerun in one.reruns)
            lines.append(f"{head}: not found. Tried: {style.words(tried or 'nothing')}")
    return lines or ["not known yet"]


def _ruled_out(confirmations: Iterable[Confirmation], style: _Style) -> list[str]:
    return [
        f"{style.name(one.candidate)}, {one.family}: {style.words(swap_words(rerun, one.family, plain_words))}"
        for one in confirmations
        for rerun in one.reruns
        if rerun.is_worse is False
    ]


def _actions(alert: Alert, style: _Style) -> list[str]:
    def call(*words: str) -> str:
        # A name from a file is one word of the command, whatever it holds.
        return style.command(" ".join(shlex.quote(plain_words(word)) for word in ("perflib", *words)))

    def answer(word: str, *more: str) -> str:
        return call("alerts", word, alert.ulid, *more)

    why = ("--reason", "why it is so")
    if alert.kind == "benchmark":
        return [
            f"say that you have it: {answer('ack')}",
            f"see how the last run stands against its history: {call('check', alert.run_id, '--no-confirm')}",
            f"when the benchmark is mended: {answer('close')}",
            f"if nothing is wrong with it: {answer('invalid', *why)}",
            f"if it must stay as it is: {answer('accept', *why)}",
        ]
    candidate = alert.nominations[0].series.candidate if alert.nominations else "baseline"
    pair = (f"{alert.good_run_id}:{candidate}", f"{alert.since_run_id}:{candidate}")
    causes = {culprit.component for one in alert.confirmations for culprit in one.culprits}
    # `compare` runs both in today's packages, where a change of packages shows nothing.
    compare = [] if "lock" in causes else [f"or hold the two runs against each other: {call('compare', *pair)}"]
    return [
        f"say that you have it: {answer('ack')}",
        f"measure it again: {call('check', alert.run_id, '--again')}",
        *compare,
        f"if the new level is meant: {answer('accept', *why)}",
        f"if it is a false alarm: {answer('invalid', *why)}",
        f"when it is repaired: {answer('close')}",
    ]


def _short(name: str) -> str:
    words = plain_words(name)
    return words if len(words) <= _NAME_CHARS else f"{words[: _NAME_CHARS - 1]}…"
