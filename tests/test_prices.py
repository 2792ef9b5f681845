"""The price book: what is shipped says that it is an example; every slip is one sentence with file, key and value."""

import datetime
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from perflib import project
from perflib.errors import ParameterError
from perflib.governance.prices import load_prices
from perflib.results.governance import PriceBook, Range

TODAY = datetime.date(2026, 3, 1)
SHIPPED = project.root() / "params" / "prices.yaml"


def written(folder: Path, change: Callable[[dict[str, Any]], object] = lambda document: None) -> Path:
    """Write the shipped book with one change and return its folder."""
    document = yaml.safe_load(SHIPPED.read_text())
    change(document)
    (folder / "prices.yaml").write_text(yaml.safe_dump(document))
    return folder


def refused(folder: Path, *said: str, today: datetime.date = TODAY) -> str:
    """Check that loading ends in one printable sentence that names the file and says all of ``said``."""
    with pytest.raises(ParameterError) as caught:
        load_prices(folder=folder, today=today)
    sentence = str(caught.value)

    assert sentence.isprintable()
    assert sentence[-1] in ".?"
    assert "prices.yaml" in sentence
    for words in said:
        assert words in sentence
    return sentence


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Return a change that sets one value, deep in the book."""

    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


# --- what is shipped ----------------------------------------------------------------------------------------------


def test_the_shipped_book_is_an_example_in_one_currency() -> None:
    """Nobody's prices: it says so in a flag, in every source, and has no vendor's instance."""
    book = load_prices(today=TODAY)
    prices = (book.on_demand_per_hour, book.reserved_per_hour, book.work_per_day)
    sources = [*((one.source, one.date) for one in prices), (book.power.source, book.power.date)]

    assert book.is_example
    assert (book.currency, book.instance, book.instance_core_count) == ("EUR", "example-2-cores", 2)
    assert all("example" in source and date == "2026-01-01" for source, date in sources)
    assert book.inferences_per_month == Range(3e8, 1e9, 2e9)
    assert book.effort_days["quantize"] == Range(2.0, 3.0, 6.0)


def test_the_shipped_book_knows_every_stage_that_we_ship() -> None:
    """A stage's own line would be passed over silently if it were misspelt."""
    from perflib.compression.stage import _BUILT_IN

    assert set(load_prices(today=TODAY).effort_days) == {"default", *_BUILT_IN}


def test_the_digest_is_of_the_file_as_it_was_read() -> None:
    """So that every figure of money says which book it was made with; and the record survives its own file."""
    book = load_prices(today=TODAY)

    assert book.file_sha256 == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert PriceBook.from_dict(book.to_dict()) == book


def test_every_value_arrives_where_it_belongs(tmp_path: Path) -> None:
    """Each number of the file is another one, and none is exchanged."""

    def change(document: dict[str, Any]) -> None:
        document |= {"example": False, "peak_ratio": 2.5, "utilisation_ratio": 0.7, "least_instance_count": 3}
        document |= {"horizon_months": 24, "discount_per_year_ratio": 0.05}
        document["reserved_per_hour"] |= {"amount": 0.07, "currency": "EUR", "source": "our invoice"}
        document["power"]["idle_watt"] = {"p10": 1, "p50": 2, "p90": 4}

    book = load_prices(folder=written(tmp_path, change), today=TODAY)

    assert not book.is_example
    assert (book.peak_ratio, book.utilisation_ratio, book.least_instance_count) == (2.5, 0.7, 3)
    assert (book.horizon_months, book.discount_per_year_ratio) == (24, 0.05)
    assert (book.reserved_per_hour.amount, book.reserved_per_hour.source) == (0.07, "our invoice")
    assert (book.on_demand_per_hour.amount, book.work_per_day.amount) == (0.1, 600.0)
    assert book.power.idle_watt == Range(1.0, 2.0, 4.0)
    assert book.power.full_watt == Range(10.0, 15.0, 25.0)


# --- slips --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("on_demand_per_hour", "amount"), -0.1, ("`on_demand_per_hour.amount`", "-0.1", "above 0")),
        (("reserved_per_hour", "amount"), 0, ("`reserved_per_hour.amount`", "is 0", "above 0")),
        (("work_per_day", "amount"), float("nan"), ("`work_per_day.amount`", "nan", "number")),
        (("work_per_day", "amount"), float("inf"), ("`work_per_day.amount`", "inf", "number")),
        (("work_per_day", "amount"), 1e300, ("`work_per_day.amount`", "1e+300", "at most")),
        (("work_per_day", "amount"), "600 EUR", ("`work_per_day.amount`", "'600 EUR'", "write a number")),
        (("work_per_day", "amount"), True, ("`work_per_day.amount`", "True", "write a number")),
        (("currency",), "euro", ("`currency`", "'euro'", "three capital letters")),
        (("work_per_day", "currency"), "USD", ("`work_per_day.currency`", "USD", "EUR", "convert")),
        (("utilisation_ratio",), 0, ("`utilisation_ratio`", "is 0", "above 0")),
        (("utilisation_ratio",), 1.01, ("`utilisation_ratio`", "1.01", "at most 1")),
        (("horizon_months",), 0, ("`horizon_months`", "is 0", "at least 1")),
        (("horizon_months",), 1.5, ("`horizon_months`", "1.5", "whole number")),
        (("peak_ratio",), 0.9, ("`peak_ratio`", "0.9", "at least 1")),
        (("least_instance_count",), 0, ("`least_instance_count`", "is 0", "at least 1")),
        (("discount_per_year_ratio",), -0.01, ("`discount_per_year_ratio`", "-0.01", "at least 0")),
        (("power", "pue_ratio"), 0.99, ("`power.pue_ratio`", "0.99", "at least 1")),
        (("inferences_per_month", "p10"), 1.1e9, ("`inferences_per_month`", "1.1e+09, 1e+09", "p10")),
        (("effort_days", "prune", "p90"), 7.9, ("`effort_days.prune`", "4, 8, 7.9", "ascend")),
        (("power", "idle_watt", "p90"), 25.1, ("idle_watt.p90 is 25.1", "25;")),
        (("work_per_day", "date"), "2026-13-01", ("`work_per_day.date`", "'2026-13-01'", "month")),
        (("work_per_day", "date"), "01.03.2026", ("`work_per_day.date`", "'01.03.2026'", "2026-01-31")),
        (("work_per_day", "date"), "20260101", ("`work_per_day.date`", "'20260101'", "2026-01-31")),
        (("power", "date"), "2026-03-02", ("`power.date`", "2026-03-02", "today (2026-03-01)")),
        (("work_per_day", "source"), "  ", ("`work_per_day.source`", "plain words")),
        (("instance",), "a\nb", ("`instance`", "plain words")),
        (("example",), "no thanks", ("`example`", "'no thanks'", "true or false")),
        (("work_per_day",), 600, ("`work_per_day`", "600", "key: value")),
        (("effort_days",), [1, 2], ("`effort_days`", "[1, 2]", "key: value")),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    tmp_path: Path, keys: tuple[str, ...], value: Any, said: tuple[str, ...]
) -> None:
    """With its place, with itself, and with what would fit."""
    refused(written(tmp_path, put(*keys, value=value)), *said)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("utilisation_ratio",), 1),
        (("horizon_months",), 1),
        (("peak_ratio",), 1),
        (("discount_per_year_ratio",), 0),
        (("inferences_per_month",), {"p10": 5, "p50": 5, "p90": 5}),
        (("power", "date"), "2026-03-01"),
    ],
)
def test_the_last_value_that_fits_is_taken(tmp_path: Path, keys: tuple[str, ...], value: Any) -> None:
    """Limits belong to what is allowed."""
    assert load_prices(folder=written(tmp_path, put(*keys, value=value)), today=TODAY)


@pytest.mark.parametrize(
    ("keys", "meant"),
    [
        (("utilization_ratio",), "did you mean `utilisation_ratio`?"),
        (("work_per_day", "ammount"), "did you mean `amount`?"),
        (("effort_days", "default", "p5"), "did you mean `p50`?"),
        (("power", "full_wat"), "did you mean `full_watt`?"),
        (("power", "full_watt", "mean"), "known are: p10, p50, p90."),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, keys: tuple[str, ...], meant: str) -> None:
    """A key that nobody reads would be a price that nobody pays."""
    refused(written(tmp_path, put(*keys, value=1)), f"`{'.'.join(keys)}` is not a key", meant)


@pytest.mark.parametrize("key", sorted(yaml.safe_load(SHIPPED.read_text())))
def test_every_key_is_needed(tmp_path: Path, key: str) -> None:
    """There is no hidden default for money."""
    refused(written(tmp_path, lambda document: document.pop(key)), f"lacks `{key}`", "params/prices.yaml")


def test_a_price_without_source_or_default_effort_is_refused(tmp_path: Path) -> None:
    """Who said it is part of a price; and a stage without a line of its own needs one."""
    refused(written(tmp_path, lambda document: document["work_per_day"].pop("source")), "lacks `work_per_day.source`")
    refused(written(tmp_path, lambda document: document["effort_days"].pop("default")), "`default`")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example: true\nexample: false\n", "key `example` stands twice"),
        ("power:\n  date: a\n  date: b\n", "key `date` stands twice"),
        ("a: &x 1\nb: *x\n", "anchor"),
        ("a:\n  <<: {b: 1}\n", "merge"),
        ("a: !!python/object:os.system 1\n", "not plain YAML"),
        ("a: [1, 2\n", "not plain YAML"),
        ("", "key: value"),
        ("- 1\n", "key: value"),
    ],
)
def test_what_is_no_plain_mapping_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Of two values for one key nobody could say which was meant."""
    (tmp_path / "prices.yaml").write_text(text)

    refused(tmp_path, said)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    """With the file that lies beside it."""
    (tmp_path / "price.yaml").write_text("example: true\n")
    refused(tmp_path, "does not exist", "did you mean `price.yaml`?")
    (tmp_path / "prices.yaml").write_bytes(b"example: \xff\n")
    refused(tmp_path, "cannot be read as UTF-8")
    (tmp_path / "prices.yaml").write_bytes(b"#" * 1_000_001)
    refused(tmp_path, "1,000,000 bytes")


def test_a_date_may_stand_without_quotes(tmp_path: Path) -> None:
    """YAML would read a day there, and a day that does not exist would end in its own error."""
    text = SHIPPED.read_text()
    assert '"2026-01-01"' in text
    (tmp_path / "prices.yaml").write_text(text.replace('"2026-01-01"', "2026-02-28"))

    assert load_prices(folder=tmp_path, today=TODAY).work_per_day.date == "2026-02-28"

    (tmp_path / "prices.yaml").write_text(text.replace('"2026-01-01"', "2026-02-30"))
    refused(tmp_path, "`on_demand_per_hour.date`", "2026-02-30")
