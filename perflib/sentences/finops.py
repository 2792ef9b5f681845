"""What a candidate saves in money and carbon, and whether the saving is really not paid: one sentence each."""

from decimal import Decimal

from perflib import units
from perflib.results import Interval
from perflib.results.governance import ArmCarbon, ArmCost, Carbon, Finops, Range

BASELINE = "baseline"


def number(value: float) -> str:
    """
    Write a number with three significant digits and no exponent, however small it is.

    Example:
        >>> number(0.0000123456), number(219.0), number(0.0535), number(-0.00002)
        ('0.0000123', '219', '0.0535', '−0.00002')
    """
    text = format(Decimal(f"{value:.3g}"), "f") if 0 < abs(value) < 1 else units.three_digits(value)
    return text.replace("-", "−")


def money(amount: float | None, currency: str) -> str:
    """
    Write an amount of money.

    Example:
        >>> money(2190.0, "EUR"), money(0.00123456, "EUR"), money(None, "EUR")
        ('2,190 EUR', '0.00123 EUR', '–')
    """
    return units.UNKNOWN if amount is None else f"{number(amount)} {currency}"


def money_interval(cost: Interval) -> str:
    """
    Write an amount with its bounds, without currency.

    Example:
        >>> money_interval(Interval(0.05, 0.04, 0.06, 0.9)), money_interval(Interval(0.33, None, None, 0.9))
        ('0.05 [0.04, 0.06]', '0.33')
    """
    if cost.low is None or cost.high is None:
        return number(cost.estimate)
    return f"{number(cost.estimate)} [{number(cost.low)}, {number(cost.high)}]"


def middle_and_range(values: Range) -> str:
    """
    Write a middle with its low and high assumption.

    Example:
        >>> middle_and_range(Range(0.1, 0.2, 0.5))
        '0.2 [0.1, 0.5]'
    """
    return f"{number(values.p50)} [{number(values.p10)}, {number(values.p90)}]"


def prices_words(*, is_example: bool) -> str:
    """Say whose prices they are."""
    return "example prices" if is_example else "the prices of params/prices.yaml"


def saving_sentence(finops: Finops, name: str) -> str:
    """Say what a candidate saves a month: whole instances, and what paying by the second would save."""
    arm, baseline = finops.arm(name), finops.arm(BASELINE)
    if arm is None or baseline is None:
        return f"{name} was not timed in throughput, so nothing is known of its cost."
    if arm is baseline:
        cost = f"{money(arm.month_amount, finops.currency)} a month: {_counted(arm.instance_count)}"
        return f"With {prices_words(is_example=finops.is_example)}, the baseline costs {cost}."
    saving, elastic = arm.saving_month_amount, arm.elastic_saving_month_amount
    start = f"With {prices_words(is_example=finops.is_example)}, {name}"
    if saving is None or elastic is None:
        return f"{start} has a ratio without bounds, so no saving is claimed."
    if saving > 0:
        told = f"saves {money(saving, finops.currency)} a month: {_instead(arm, baseline)}"
    elif saving < 0:
        told = f"costs {money(-saving, finops.currency)} more a month: {_instead(arm, baseline)}"
    else:
        told = f"saves nothing: {_counted(arm.instance_count)} as before"
    if elastic <= 0:
        return f"{start} {told}."
    return f"{start} {told}; paid by the second, it would save {money(elastic, finops.currency)}."


def realisable_sentence(finops: Finops, name: str) -> str:
    """Say whether the saving is really not paid, and which numbers of instances decide that."""
    arm = finops.arm(name)
    if arm is None:
        return f"{name} was not timed in throughput, so nothing is known of its instances."
    if arm.realisable is None:
        return arm.realisable_sentence
    words = {"yes": "is realisable", "partly": "is partly realisable", "no": "is not realisable"}
    start = f"With {prices_words(is_example=finops.is_example)}, the saving"
    return f"{start} {words[arm.realisable]}. {arm.realisable_sentence}"


def carbon_sentence(carbon: Carbon, name: str) -> str:
    """Say what a candidate emits beside the baseline, as the estimate that it is."""
    arm, baseline = _carbon_of(carbon, name), _carbon_of(carbon, BASELINE)
    if arm is None or baseline is None:
        return f"{name} was not timed in throughput, so its carbon is not estimated."
    words = "example assumptions" if carbon.is_example else "the assumptions of params/prices.yaml"
    how = "metered and modelled" if arm.is_metered else "modelled, nothing was metered"
    who = "the baseline" if arm is baseline else name
    told = (
        f"With {words}, 1,000 inferences with {who} emit an estimated {middle_and_range(arm.score_gram)} g CO₂e ({how})"
    )
    if arm is baseline:
        return f"{told}."
    told += f", with the baseline {middle_and_range(baseline.score_gram)} g"
    if arm.is_metered != baseline.is_metered:
        return f"{told}; one was metered and the other was not, so they do not compare."
    share = arm.score_gram.p50 / baseline.score_gram.p50
    change = "less" if share < 1 else "more"
    return f"{told}: {units.percent(abs(1 - share), 0)} {change} in the middle case."


def _instead(arm: ArmCost, baseline: ArmCost) -> str:
    return f"{_counted(arm.instance_count)} instead of {baseline.instance_count}"


def _counted(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _carbon_of(carbon: Carbon, name: str) -> ArmCarbon | None:
    return next((one for one in carbon.arms if one.name == name), None)
