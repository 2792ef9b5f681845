"""
The first part of the report, for somebody who decides and does not code: short sentences, each number with its record.

Each function takes the case and returns one section as HTML, empty where its records are missing.
"""

import html

from perflib.reporting.case import Case
from perflib.results import Build, Candidate, Comparison, Findings, Validation
from perflib.results.governance import RolloutPlan
from perflib.tables import pill
from perflib.verdict import is_offered

# More would not be read; all of them stand below.
_SHOWN_COUNT = 5


def recommendation(case: Case) -> str:
    """Say what to ship, by how much it is better, and how sure that is."""
    if case.best is None:
        return _nothing_to_ship(case)
    name, best = case.name(case.best), case.best
    speed = next((found for found in (case.speed("offline"), case.speed("single")) if found), None)
    gain = f" On the same machine it is {speed} as fast as the model of today." if speed else ""
    box = (
        f'<div class="headline approved"><p>{pill(best.verdict)} <strong>Ship {name}.</strong>{gain} '
        f"Its answers keep every limit that was agreed{_but_waived(case)}.</p></div>"
    )
    facts = "".join(f"<li>{one}</li>" for one in _facts(case, best.name))
    return f'{_head("What we recommend")}{box}<ul class="facts">{facts}</ul>{_sureness(case, best.name)}'


def losses(case: Case) -> str:
    """Say what gets worse, and for whom."""
    validation, best = case.validation, case.best
    if best is None or validation is None:
        return ""
    name = best.name
    counts = [
        case.number(Validation, name, f"/{field}", form="count")
        for field in ("example_count", "negative_flip_count", "positive_flip_count")
    ]
    told = [
        f"We asked both models the same {counts[0]} {case.unit}. <strong>{counts[1]} answers were right and are now "
        f"wrong.</strong> {counts[2]} were wrong and are now right.",
        *_worst_slice(case, validation, name),
        *_costlier(case, name),
    ]
    warned = [
        f"<li>{case.text(Validation, name, f'/gates/{place}/sentence')}"
        + (f" <em>Waived:</em> {case.text(Validation, name, f'/gates/{place}/waiver')}" if gate.waiver else "")
        + "</li>"
        for place, gate in enumerate(validation.gates)
        if gate.counts_as == "WARN"
    ]
    rest = f"<p>These limits are close, or somebody lets them pass:</p><ul>{''.join(warned)}</ul>" if warned else ""
    closing = "" if warned else "<p>No limit warns, and none was waived.</p>"
    return f"{_head('What gets worse, and for whom')}{_paragraphs(told)}{rest}{closing}"


def failures(case: Case) -> str:
    """Name what was tried and may not be shipped, with the first reason of each."""
    if not case.candidates:
        return ""
    found = [one for one in case.candidates if one.verdict != "approved"]
    lines = [
        f"<strong>{case.name(one)}</strong> {pill(one.verdict)} {case.reason(one)}" for one in found[:_SHOWN_COUNT]
    ]
    lines += _wrong_hopes(case) + _second_best(case)
    more = "<p>There are more. All of them stand below.</p>" if len(found) > _SHOWN_COUNT else ""
    start = "" if found else "<p>All that we built may be shipped.</p>"
    shown = f'<ul class="tried">{"".join(f"<li>{one}</li>" for one in lines)}</ul>' if lines else ""
    return f"{_head('What we tried that did not work')}{start}{shown}{more}"


def asks(case: Case) -> str:
    """Say what the reader is asked to decide, by when, and what work it is."""
    lines = [*_decision(case), *_prices(case), *_owner(case), *_undecided(case)]
    if not lines:
        return ""
    return f"{_head('What we ask of you')}<ol>{''.join(f'<li>{one}</li>' for one in lines)}</ol>"


def _nothing_to_ship(case: Case) -> str:
    if not case.candidates:
        return f"{_head('What we recommend')}<p>Nothing was tried. Only the model of today was measured.</p>"
    finalists = [one for one in case.candidates if one.is_finalist]
    lines = "".join(f"<li>{case.name(one)} {pill(one.verdict)} {case.reason(one)}</li>" for one in finalists)
    kind = "undecided" if any(one.verdict == "undecided" for one in finalists) else "quarantined"
    box = (
        f'<div class="headline {kind}"><p><strong>Ship nothing yet.</strong> Nothing that we tried is both faster '
        "and safe, as far as we know.</p></div>"
    )
    return f"{_head('What we recommend')}{box}{f'<ul>{lines}</ul>' if lines else ''}"


def _facts(case: Case, name: str) -> list[str]:
    """Return the few numbers that carry the recommendation, the most important first."""
    words = {"offline": "as fast with many requests at once", "single": "as fast with one request at a time"}
    facts = [f"<strong>{speed}</strong> {words[one]}" for one in words if (speed := case.speed(one))]
    if case.run.read(Build, name) is not None:
        sizes = [case.number(Build, name, f"/{field}", form="size") for field in ("size_bytes", "parent_size_bytes")]
        facts.append(f"<strong>{sizes[0]}</strong> on disk, today {sizes[1]}")
    if case.validation is not None:
        change, worst = (
            case.number(Validation, name, f"/accuracy_change_ratio/{end}", form="points") for end in ("estimate", "low")
        )
        facts.append(f"<strong>{change}</strong> change in right answers of a hundred; at worst {worst}")
    return facts


def _sureness(case: Case, name: str) -> str:
    told = []
    if case.comparison is not None and case.comparison.scenarios:
        lives = case.number(Comparison, name, "/scenarios/0/lives", form="length")
        error = case.number(Comparison, name, "/alpha_ratio", form="percent")
        told.append(
            f"<strong>How sure we are.</strong> We started both models side by side, {lives} times over. A coin chose "
            f"which went first. If there were no gain, we would still claim one in at most {error} of all cases. "
            f"{_range(case)}"
        )
    if case.validation is not None:
        limits = case.number(Validation, name, "/gates", form="length")
        told.append(
            f"The answers were held against {limits} limits. They were set before anybody saw a result. "
            f"All of them hold{_but_waived(case)}."
        )
    return _paragraphs(told)


def _but_waived(case: Case) -> str:
    is_waived = case.validation is not None and any(one.waiver for one in case.validation.gates)
    return ", but for those that somebody lets pass" if is_waived else ""


def _range(case: Case) -> str:
    parts = [
        f"{'with many requests at once' if one == 'offline' else 'with one request at a time'} it is {speed}"
        for one in ("offline", "single")
        if (speed := case.speed(one, has_bounds=True))
    ]
    return f"The range in brackets is what the data can bear: {', and '.join(parts)}." if parts else ""


def _wrong_hopes(case: Case) -> list[str]:
    """Return what the profile promised and the measurement ruled out."""
    findings = case.run.read(Findings, "baseline")
    wrong = [one.finding for one in case.outcomes if one.outcome == "refuted"]
    places = [place for place, one in enumerate(findings.findings) if one in wrong] if findings else []
    return [
        f"<strong>A hope that was wrong:</strong> {case.text(Findings, 'baseline', f'/findings/{place}/claim')} "
        "It gave less than half of what we expected."
        for place in places[:_SHOWN_COUNT]
    ]


def _second_best(case: Case) -> list[str]:
    others = [one for one in case.candidates if is_offered(one) and case.best and one.name != case.best.name]
    if not others:
        return []
    names = ", ".join(case.name(one) for one in others[:_SHOWN_COUNT])
    return [f"<strong>{names}</strong> may be shipped too. The table below sets them side by side."]


def _worst_slice(case: Case, validation: Validation, name: str) -> list[str]:
    gated = [(place, one) for place, one in enumerate(validation.slices) if one.is_gated]
    if not gated:
        return ["No group of the test data is large enough to say who loses most."]
    place, worst = min(gated, key=lambda pair: pair[1].change_ratio)
    start = f"/slices/{place}"
    column, value = (case.text(Validation, name, f"{start}/{field}") for field in ("column", "value"))
    change = case.number(Validation, name, f"{start}/change_ratio", form="points")
    count = case.number(Validation, name, f"{start}/example_count", form="count")
    is_real = worst.holm_high_ratio is not None and worst.holm_high_ratio < 0
    if worst.change_ratio >= 0:
        return [f"No group loses. The one that gains least is {column} = {value}: {change} on {count} {case.unit}."]
    sure = "That is more than chance." if is_real else "That may be chance."
    return [f"<strong>Who loses most:</strong> {column} = {value}, with {change} on {count} {case.unit}. {sure}"]


def _costlier(case: Case, name: str) -> list[str]:
    metrics = case.comparison.metrics if case.comparison else ()
    return [
        f"It takes more than today in one more thing: {case.text(Comparison, name, f'/metrics/{place}/metric')}, "
        f"{case.number(Comparison, name, f'/metrics/{place}/ratio/estimate', form='speedup')} of today."
        for place, one in enumerate(metrics)
        if one.finding == "more"
    ]


def _decision(case: Case) -> list[str]:
    if case.best is None:
        return ["<strong>Keep the model of today.</strong> Let us try the next idea."] if case.candidates else []
    name = case.name(case.best)
    until = f" by {case.text(RolloutPlan, case.best.name, '/expires')}" if case.plan else ""
    found = case.item(case.best.name)
    work = ""
    if found is not None:
        days = case.evidence.number("records/backlog-run.json", f"/items/{found[0]}/effort_days/p50", form="days")
        work = f" It takes about {days} days of work."
    why = " After that the plan must be made again." if until else ""
    return [f"<strong>Say yes or no to {name}{until}.</strong>{work}{why}"]


def _prices(case: Case) -> list[str]:
    if case.finops is None or not case.finops.is_example:
        return []
    return [
        "<strong>Give us your own prices and volumes</strong> before you promise money to anybody. They stand in "
        "<code>params/prices.yaml</code>. It is work for an hour, and needs no new run."
    ]


def _owner(case: Case) -> list[str]:
    if case.plan is None or case.best is None:
        return []
    owner = case.plan.owner.strip()
    if owner and owner != "unassigned":
        return []
    return [
        "<strong>Name the person who ships it</strong> before the first step. Nobody is named yet. "
        "It is one line in <code>params/backlog.yaml</code>."
    ]


def _undecided(case: Case) -> list[str]:
    open_ones: list[Candidate] = [one for one in case.candidates if one.is_finalist and one.verdict == "undecided"]
    if not open_ones:
        return []
    names = ", ".join(case.name(one) for one in open_ones[:_SHOWN_COUNT])
    return [
        f"<strong>Give us more time on the machine</strong> if you want an answer on {names}. The data cannot tell yet."
    ]


def _head(title: str) -> str:
    return f"<h2>{html.escape(title)}</h2>"


def _paragraphs(sentences: list[str]) -> str:
    return "".join(f"<p>{one}</p>" for one in sentences)
