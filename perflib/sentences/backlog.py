"""What to do first and why, what its return hangs on, and what did not work."""

from perflib import units
from perflib.results.governance import Backlog, BacklogItem, Range, TornadoBar
from perflib.results.speed import Interval

# Beyond this many the rest is counted, and not named.
_NAMED_COUNT = 3
_DIED = ("quarantined", "failed")


def backlog_sentence(backlog: Backlog) -> str:
    """Say what to do first, what it gives, and why it stands first; ratios before money."""
    ranked = [one for one in backlog.items if one.rank is not None]
    if not ranked:
        return "There is nothing to do: no candidate may be shipped, and no finding was left untried."
    first = ranked[0]
    if first.kind == "hypothesis":
        return (
            f"No candidate may be shipped yet. First {first.title}: {gain_words(first)}, and nothing is measured yet."
        )
    told = [f"First {first.title}: {gain_words(first)}, {_days(first)}, {first.risk} risk."]
    told.append(money_sentence(first, backlog))
    second = next((one for one in ranked[1:] if one.kind == "candidate"), None)
    if first.returns and second is not None and second.returns:
        told.append(_why_first(first, second))
    saver = max((one for one in ranked if one.returns), key=_saving_amount, default=first)
    if saver is not first and saver.kind == "candidate" and _saving_amount(saver) > _saving_amount(first):
        told.append(f"{short_name(saver)} would save more in the end, for {_days(saver)}.")
    return " ".join(told)


def money_sentence(item: BacklogItem, backlog: Backlog) -> str:
    """Say what an item gives back and costs, and that prices are examples while they are."""
    start = "With example prices " if backlog.is_example else ""
    found = item.returns
    if found is None:
        return "Its throughput is not sure, so no money is set against it."
    if item.realisable == "no":
        return _capital(f"{start}it saves no money: no whole machine can be given back.")
    low, high = found.saving_month_amount.p10, found.saving_month_amount.p90
    loss = units.percent(found.chance_of_loss_ratio, 0)
    return _capital(
        f"{start}it saves {amount(low)} to {amount(high)} {backlog.currency} a month and costs "
        f"{amount(found.one_off_amount.p50)} {backlog.currency} once; the chance of a loss over "
        f"{found.horizon_months} months is {loss}."
    )


def tornado_sentence(item: BacklogItem, *, is_example: bool) -> str:
    """Say which assumption an item's return hangs on most, and between which ends it then lies."""
    if not item.tornado or _width(item.tornado[0]) == 0:
        return f"No single assumption moves the return of {item.title}."
    widest = item.tornado[0]
    low, high = sorted((widest.roi_at_low_ratio, widest.roi_at_high_ratio))
    prices = "With example prices the" if is_example else "The"
    return (
        f"{prices} return of {item.title} hangs most on {widest.assumption}: from {_value(widest.low_value)} to "
        f"{_value(widest.high_value)} {widest.unit} it goes between {signed(low)} and {signed(high)} times the cost."
    )


def failed_sentence(backlog: Backlog) -> str:
    """Count what was tried and did not work, and name some of it."""
    names = [short_name(one) for one in did_not_work(backlog)]
    if not names:
        return "Everything that was tried worked."
    more = f" and {len(names) - _NAMED_COUNT} more" if len(names) > _NAMED_COUNT else ""
    what = "1 candidate was" if len(names) == 1 else f"{len(names)} candidates were"
    return f"{what} tried and may not be shipped: {', '.join(names[:_NAMED_COUNT])}{more}."


def backlog_lines(backlog: Backlog) -> tuple[str, ...]:
    """Return what a terminal shows: what to do, by rank, a line each, then what did not work."""
    found = []
    for one in sorted((one for one in backlog.items if one.rank is not None), key=lambda one: one.rank or 0):
        example = " at example prices" if backlog.is_example else ""
        money = f"ROI {range_words(one.returns.roi_ratio)} times its cost{example}" if one.returns else "no money"
        words = (gain_words(one), money, _days(one), f"{one.risk} risk", one.status.replace("_", " "))
        found.append(f"{one.rank}. {short_name(one)}: {' · '.join(words)}")
    return (backlog_sentence(backlog), *found, failed_sentence(backlog))


def did_not_work(backlog: Backlog) -> tuple[BacklogItem, ...]:
    """Return what was built or tried and may not be shipped, what was refused before what is undecided."""
    found = [one for one in backlog.items if one.verdict in (*_DIED, "undecided") or one.status == "rolled_back"]
    return tuple(sorted(found, key=lambda one: (one.verdict == "undecided", one.id)))


def gain_words(item: BacklogItem) -> str:
    """
    Say how much faster an item is, and what it does to accuracy.

    Throughput comes first, then one at a time; what was not measured is said to be expected.
    """
    ratio, way = item.throughput_ratio, "the throughput"
    if ratio is None:
        ratio, way = item.latency_ratio, "the speed one at a time"
    if ratio is None:
        return "no speed is known"
    expected = "expected " if item.kind == "hypothesis" else ""
    change = item.accuracy_change_ratio
    quality = f", accuracy {units.points(change.estimate)}" if change is not None else ""
    return f"{expected}{ratio_words(ratio)} {way}{quality}"


def short_name(item: BacklogItem) -> str:
    """Return the candidate's own name, or what is to be tried."""
    return item.id.removeprefix("OPT-") if item.kind == "candidate" else item.title


def ratio_words(ratio: Interval) -> str:
    """Return a ratio with its bounds."""
    return units.speedup(ratio.estimate, ratio.low, ratio.high)


def range_words(found: Range) -> str:
    """
    Return P10 to P90.

    Example:
        >>> range_words(Range(-1.0, 0.5, 33.5))
        '−1.00 to 33.5'
    """
    return f"{signed(found.p10)} to {signed(found.p90)}"


def signed(value: float) -> str:
    """Return a number of three digits with a true minus."""
    return units.three_digits(value).replace("-", "−")


def amount(value: float) -> str:
    """
    Return an amount of money without its currency.

    Example:
        >>> amount(1841.7), amount(-20965.4)
        ('1,842', '−20,965')
    """
    return f"{value:,.0f}".replace("-", "−")


def _why_first(first: BacklogItem, second: BacklogItem) -> str:
    low, other = (one.returns.roi_ratio.p10 if one.returns else 0.0 for one in (first, second))
    other_name = short_name(second)
    if low == other:
        return f"Its bad case gives back as much as that of {other_name}; it reaches more for less work."
    return (
        f"It stands first because its bad case (P10) gives back {signed(low)} times its cost, "
        f"that of {other_name} {signed(other)} times."
    )


def _saving_amount(item: BacklogItem) -> float:
    return item.returns.saving_month_amount.p50 if item.returns else 0.0


def _days(item: BacklogItem) -> str:
    days = item.effort_days.p50
    return f"{days:g} {'day' if days == 1 else 'days'} of work"


def _width(bar: TornadoBar) -> float:
    return abs(bar.roi_at_high_ratio - bar.roi_at_low_ratio)


def _value(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
