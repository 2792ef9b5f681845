"""
The part of the decision that is about money and risk: what is saved, what could go wrong, and the way back.

While the prices are examples, ratios come first and every amount says so; the word is a part of the number.
"""

from perflib.reporting.case import WHOLE, Case
from perflib.results.governance import (
    ArmCost,
    Backlog,
    Finops,
    Rehearsal,
    Risk,
    RiskRegister,
    RolloutPlan,
)

_SHOWN_RISKS_COUNT = 3
_EVEN_RATIO = 0.5
_LIKELIHOODS = ("rare", "possible", "likely")
_IMPACTS = ("minor", "serious", "severe")
_MONEY = ("/currency", "/is_example")


def savings(case: Case) -> str:
    """Say what is saved, with its range; empty where no cost was computed."""
    finops = case.finops
    if finops is None:
        return ""
    places = {one.name: place for place, one in enumerate(finops.arms)}
    told = [_EXAMPLE_NOTE] if finops.is_example else []
    if case.best is None or case.best.name not in places:
        told += ["<p>Nothing is saved yet: nothing may be shipped, or we do not know how much work it does.</p>"]
    else:
        place = places[case.best.name]
        told += [_ratio(case), _bill(case, place, finops.arms[place], places.get("baseline"))]
        told += [_return(case, case.best.name), _by_money(case)]
    return f"<h2>What it saves</h2>{''.join(told)}"


def dangers(case: Case) -> str:
    """Say what could go wrong, and how we get back; empty where nothing is recorded of either."""
    told = [_risks(case), _rollout(case), _rehearsal(case)]
    if not any(told):
        return ""
    return f"<h2>What could go wrong, and how we get back</h2>{''.join(told)}"


_EXAMPLE_NOTE = (
    '<p class="note warning"><strong>The prices are examples.</strong> Nobody has said yet that prices, volumes and '
    "work are yours. So look at the ratios first. Each sum of money says that it is an example.</p>"
)


def _ratio(case: Case) -> str:
    speed = case.speed("offline", has_bounds=True)
    return f"<p><strong>The same machine does {speed} the work.</strong></p>" if speed else ""


def _bill(case: Case, place: int, arm: ArmCost, today: int | None) -> str:
    if arm.saving_month_amount is None:
        return "<p>The gain has no bounds yet, so we claim no saving.</p>"
    saved = case.number(Finops, WHOLE, f"/arms/{place}/saving_month_amount", *_MONEY, form="money")
    own = case.number(Finops, WHOLE, f"/arms/{place}/instance_count", form="count")
    machines = f" In the busiest hour it needs {own} machines"
    if today is not None:
        machines += f"; today it is {case.number(Finops, WHOLE, f'/arms/{today}/instance_count', form='count')}"
    bill = elastic = ""
    if today is not None:
        bill = (
            f" Today we pay {case.number(Finops, WHOLE, f'/arms/{today}/month_amount', *_MONEY, form='money')} a month."
        )
    if arm.elastic_saving_month_amount is not None and arm.elastic_saving_month_amount > 0:
        paid = case.number(Finops, WHOLE, f"/arms/{place}/elastic_saving_month_amount", *_MONEY, form="money")
        elastic = f" If you pay by the second, it saves {paid} a month."
    if arm.saving_month_amount > 0:
        start = f"<strong>It saves {saved} a month.</strong>"
    elif arm.saving_month_amount < 0:
        start = f"<strong>It costs more: its saving is {saved} a month.</strong>"
    else:
        start = "<strong>On whole machines it saves nothing.</strong>"
    return f"<p>{start}{bill}{machines}.{elastic}</p>{_realisable(case, place, arm)}"


def _realisable(case: Case, place: int, arm: ArmCost) -> str:
    if arm.realisable is None or not arm.realisable_sentence:
        return ""
    answer = {"yes": "Yes.", "partly": "In part.", "no": "No."}[arm.realisable]
    return (
        f"<p>Is that money really not spent any more? <strong>{answer}</strong> "
        f"{case.text(Finops, WHOLE, f'/arms/{place}/realisable_sentence')}</p>"
    )


def _return(case: Case, name: str) -> str:
    found = case.item(name)
    if found is None or found[1].returns is None:
        return ""
    start = f"/items/{found[0]}/returns"
    month = case.number(
        Backlog,
        WHOLE,
        f"{start}/saving_month_amount/p10",
        f"{start}/saving_month_amount/p90",
        *_MONEY,
        form="money-range",
    )
    once = case.number(Backlog, WHOLE, f"{start}/one_off_amount/p50", *_MONEY, form="money")
    loss = case.number(Backlog, WHOLE, f"{start}/chance_of_loss_ratio", form="percent")
    months = case.number(Backlog, WHOLE, f"{start}/horizon_months", form="count")
    is_lost = found[1].returns.chance_of_loss_ratio > _EVEN_RATIO
    bad = " <strong>So more often than not, the work does not pay off in that time.</strong>" if is_lost else ""
    return (
        f"<p>We do not know how much it will be used. Counted with many volumes, it saves {month} a month in eight "
        f"cases of ten. The work costs about {once}, once. The chance to lose money over {months} months is "
        f"{loss}.{bad}</p>"
    )


def _by_money(case: Case) -> str:
    """Say so where the first by money is another candidate than the one that we recommend."""
    first = case.first_by_money
    if first is None or case.best is None or first.name == case.best.name:
        return ""
    return (
        f"<p><strong>By money alone {case.name(first)} comes first.</strong> It gives back more for its work, even if "
        "things go badly. We name the faster one because the prices are examples.</p>"
    )


def _risks(case: Case) -> str:
    found = case.risks.risks if case.risks else ()
    top = sorted(enumerate(found), key=lambda pair: -_weight(pair[1]))[:_SHOWN_RISKS_COUNT]

    def line(place: int) -> str:
        title, effect, treatment = (
            case.text(RiskRegister, WHOLE, f"/risks/{place}/{field}") for field in ("title", "effect", "treatment")
        )
        return f"<li><strong>{title}.</strong> {effect} <em>What we do:</em> {treatment}</li>"

    return f"<ul>{''.join(line(place) for place, _ in top)}</ul>" if top else ""


def _weight(risk: Risk) -> int:
    return (_LIKELIHOODS.index(risk.likelihood) + 1) * (_IMPACTS.index(risk.impact) + 1)


def _rollout(case: Case) -> str:
    if case.plan is None or case.best is None:
        return ""
    name = case.best.name
    steps = case.number(RolloutPlan, name, "/stages", form="length")
    words = ", ".join(case.text(RolloutPlan, name, f"/stages/{place}/name") for place in range(len(case.plan.stages)))
    alarms = case.number(RolloutPlan, name, "/triggers", form="length")
    back = case.number(RolloutPlan, name, "/rollback_sec", form="minutes")
    return (
        f"<p><strong>How it goes to users:</strong> in {steps} steps ({words}). Each step must hold before the next "
        f"one begins. <strong>How we get back:</strong> {alarms} alarms watch it. If one goes off, all traffic is back "
        f"at the model of today within {back}.</p>"
    )


def _rehearsal(case: Case) -> str:
    if case.rehearsal is None or case.best is None:
        return ""
    start = (
        "We tried the way back" if case.rehearsal.is_passed else "<strong>We tried the way back, and it failed</strong>"
    )
    return f"<p>{start} with faults that we planted ourselves. {case.text(Rehearsal, case.best.name, '/sentence')}</p>"
