"""
Seconds, bytes and ratios in words, at the edge only.

Inside perflib every number is in its base unit and its name says which (`_sec`, `_bytes`, `_ratio`, `_count`).
These functions are for tables, figures and sentences; nothing parses what they write.
"""

UNKNOWN = "–"

_TIME_STEPS = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (1e-6, "µs", 1e6), (0.0, "ns", 1e9))
_COUNT_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (0.0, ""))


def three_digits(value: float) -> str:
    """
    Write a number with three significant digits and no exponent.

    Example:
        >>> [three_digits(x) for x in (0.01234, 1.005, 12.34, 1234.0)]
        ['0.0123', '1.00', '12.3', '1,234']
    """
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return f"{value:.3g}"


def duration(value_sec: float | None) -> str:
    """
    Write a duration in the unit that fits.

    Example:
        >>> duration(0.01864), duration(75.0), duration(None)
        ('18.6 ms', '75.0 s', '–')
    """
    if value_sec is None:
        return UNKNOWN
    for limit, unit, factor in _TIME_STEPS:
        if abs(value_sec) >= limit:
            return f"{three_digits(value_sec * factor)} {unit}"
    raise AssertionError("the last step takes every value")


def size(value_bytes: float | None) -> str:
    """
    Write a size in decimal megabytes, the unit of model cards.

    Example:
        >>> size(90_868_376), size(None)
        ('90.9 MB', '–')
    """
    return UNKNOWN if value_bytes is None else f"{three_digits(value_bytes / 1e6)} MB"


def rate(value_per_sec: float | None, unit: str) -> str:
    """
    Write a rate with an SI prefix.

    Example:
        >>> rate(2.0e11, "FLOP/s"), rate(111.0, "texts/s")
        ('200 GFLOP/s', '111 texts/s')
    """
    if value_per_sec is None:
        return UNKNOWN
    for limit, prefix in _COUNT_STEPS:
        if abs(value_per_sec) >= limit:
            return f"{three_digits(value_per_sec / (limit or 1.0))} {prefix}{unit}"
    raise AssertionError("the last step takes every value")


def percent(value_ratio: float | None, digits: int = 1) -> str:
    """
    Write a share as a percentage.

    Example:
        >>> percent(0.8465), percent(None)
        ('84.7 %', '–')
    """
    return UNKNOWN if value_ratio is None else f"{100 * value_ratio:.{digits}f} %"


def points(change_ratio: float | None) -> str:
    """
    Write a change of a share in percentage points, with its sign.

    Example:
        >>> points(-0.0057), points(0.0)
        ('−0.57 pp', '0.00 pp')
    """
    if change_ratio is None:
        return UNKNOWN
    text = f"{100 * change_ratio:+.2f} pp"
    return text[1:] if float(text[:-3]) == 0 else text.replace("-", "−")


def speedup(ratio: float | None, low_ratio: float | None = None, high_ratio: float | None = None) -> str:
    """
    Write a speed-up with its interval.

    Example:
        >>> speedup(3.214, 3.05, 3.4), speedup(2.0)
        ('3.21× [3.05, 3.40]', '2.00×')
    """
    if ratio is None:
        return UNKNOWN
    if low_ratio is None or high_ratio is None:
        return f"{three_digits(ratio)}×"
    return f"{three_digits(ratio)}× [{three_digits(low_ratio)}, {three_digits(high_ratio)}]"
