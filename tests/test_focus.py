"""The FOCUS table, read by somebody else's reader: columns, types, sums, and words that do nothing in a spreadsheet."""

import dataclasses
import datetime
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perflib.errors import DataError, ParameterError
from perflib.governance.economics import price_run
from perflib.governance.focus import write_focus
from perflib.results.governance import Price
from tests.ledgers import make_ledger
from tests.price_books import arm_cost, finops, price_book

MARCH = datetime.date(2026, 3, 1)
# Typed from the specification, not from the code.
MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
CONDITIONAL = [
    "ConsumedQuantity",
    "ConsumedUnit",
    "ListUnitPrice",
    "ContractedUnitPrice",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "RegionId",
    "SkuId",
    "SkuPriceId",
    "SkuMeter",
    "SkuPriceDetails",
    "SubAccountId",
    "Tags",
]
DECIMALS = [
    "BilledCost",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "PricingQuantity",
    "ConsumedQuantity",
    "ListUnitPrice",
    "ContractedUnitPrice",
]


def table(path: Path, *, period_start: datetime.date = MARCH, text: bool = False, **change: Any) -> pd.DataFrame:
    """Return the table of a made-up run as pandas reads it."""
    costs = change.pop("costs", finops())
    write_focus(path, costs, price_book(**change), period_start=period_start)
    return pd.read_csv(path, dtype=str, keep_default_na=False) if text else pd.read_csv(path)


def test_all_mandatory_columns_and_those_of_rented_instances_are_there(tmp_path: Path) -> None:
    """Each once; 21 are mandatory."""
    frame = table(tmp_path / "focus.csv")

    assert len(MANDATORY) == 21
    assert set(MANDATORY + CONDITIONAL) <= set(frame.columns)
    assert frame.columns.is_unique


def test_only_a_correction_may_lack_a_mandatory_value(tmp_path: Path) -> None:
    """`ChargeClass` is empty because nothing is corrected; region and sub-account are not known."""
    frame = table(tmp_path / "focus.csv")
    empty = set(frame.columns[frame.isna().any()])

    assert empty == {"ChargeClass", "RegionId", "SubAccountId"}


def test_the_sum_of_effective_cost_is_the_total_of_the_run(tmp_path: Path) -> None:
    """To a hundredth, over real costs with many digits."""
    book = price_book(on_demand_per_hour=Price(0.0373331, "nobody", "2026-01-01"), utilisation_ratio=0.37)
    costs = price_run(make_ledger(tmp_path / "run"), book)
    write_focus(tmp_path / "focus.csv", costs, book, period_start=MARCH)
    frame = pd.read_csv(tmp_path / "focus.csv")

    assert list(frame["ResourceName"]) == ["baseline", "int8", "vocabulary", "bf16"]
    assert frame["EffectiveCost"].sum() == pytest.approx(sum(one.month_amount for one in costs.arms), abs=0.01)
    assert (frame["EffectiveCost"] - frame["PricingQuantity"] * frame["ListUnitPrice"]).abs().max() < 1e-9


def test_a_row_is_a_month_of_whole_instances(tmp_path: Path) -> None:
    """Two instances are 1,460 hours, and cost 1,460 EUR at 1 EUR an hour."""
    row = table(tmp_path / "focus.csv").set_index("ResourceName").loc["int8"]

    assert (row["PricingQuantity"], row["PricingUnit"]) == (1460.0, "Hours")
    assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == (1460.0, "Hours")
    assert {row[name] for name in ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")} == {1460.0}
    assert (row["ListUnitPrice"], row["ContractedUnitPrice"], row["BillingCurrency"]) == (1.0, 1.0, "EUR")
    assert (row["ChargeCategory"], row["PricingCategory"], row["ServiceCategory"]) == ("Usage", "Standard", "Compute")
    assert json.loads(str(row["SkuPriceDetails"])) == {"CoreCount": 2, "InstanceType": "made-up.large"}


def test_every_row_says_that_it_is_modelled(tmp_path: Path) -> None:
    """In its tags, in its description and in who billed it; with example prices also that."""
    frame = table(tmp_path / "focus.csv")
    example = table(tmp_path / "example.csv", costs=finops(is_example=True))

    assert [json.loads(tags) for tags in frame["Tags"]] == [{"perflib:basis": "modelled"}] * 4
    assert frame["ChargeDescription"].str.startswith("Modelled with prices ").all()
    assert example["ChargeDescription"].str.startswith("Modelled with example prices ").all()
    assert frame["ProviderName"].str.contains("modelled").all()


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-03-01", "2026-04-01"), ("2028-02-01", "2028-03-01"), ("2026-12-01", "2027-01-01")],
)
def test_periods_are_whole_months_in_utc(tmp_path: Path, start: str, end: str) -> None:
    """The end is the first moment that does not belong to it."""
    frame = table(tmp_path / "focus.csv", period_start=datetime.date.fromisoformat(start))

    for kind in ("Billing", "Charge"):
        assert set(frame[f"{kind}PeriodStart"]) == {f"{start}T00:00:00Z"}
        assert set(frame[f"{kind}PeriodEnd"]) == {f"{end}T00:00:00Z"}
        assert str(pd.to_datetime(frame[f"{kind}PeriodEnd"]).dt.tz) == "UTC"


def test_numbers_are_plain_decimals(tmp_path: Path) -> None:
    """No exponent and no separator, however small a price or large a sum is."""
    costs = finops(arm_cost("cheap", month_amount=1.5e-7), arm_cost("dear", month_amount=2.5e21))
    price = Price(1e-5, "nobody", "2026-01-01")
    frame = table(tmp_path / "focus.csv", costs=costs, on_demand_per_hour=price, text=True)
    cells = [cell for name in DECIMALS for cell in frame[name]]

    assert {"0.00000015", "2500000000000000000000.0", "0.00001"} <= set(cells)
    assert all(re.fullmatch(r"\d+\.\d+", cell) for cell in cells)


def test_foreign_words_stay_words(tmp_path: Path) -> None:
    """No formula, no new cell and no new row; pandas gets back what was written, with a quote before a formula."""
    names = ["=cmd|' /C calc'!A0", "@SUM(1)", 'a "quoted", name', "two\nlines"]
    costs = finops(*(arm_cost(name) for name in names), run_id="+run")
    frame = table(tmp_path / "focus.csv", costs=costs, instance="-1+2", text=True)

    assert list(frame["ResourceName"]) == ["baseline", "'" + names[0], "'" + names[1], names[2], names[3]]
    assert set(frame["SkuId"]) == {"'-1+2"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in frame.to_numpy().ravel())
    assert json.loads(frame["SkuPriceDetails"][0])["InstanceType"] == "-1+2"


def test_the_same_costs_make_the_same_bytes(tmp_path: Path) -> None:
    """No clock and no chance; lines end as RFC 4180 has them."""
    first = write_focus(tmp_path / "a.csv", finops(), price_book(), period_start=MARCH).read_bytes()

    assert first == write_focus(tmp_path / "b.csv", finops(), price_book(), period_start=MARCH).read_bytes()
    assert first.count(b"\r\n") == first.count(b"\n") == 5


def test_a_run_without_costs_is_a_table_without_rows(tmp_path: Path) -> None:
    """Its columns are still there."""
    costs = dataclasses.replace(finops(), arms=())

    assert table(tmp_path / "focus.csv", costs=costs).shape == (0, 36)


def test_a_period_within_a_month_and_other_prices_are_refused(tmp_path: Path) -> None:
    """Each with its value; no file is left."""
    path = tmp_path / "focus.csv"
    with pytest.raises(ParameterError, match="2026-03-02; give its first day"):
        write_focus(path, finops(), price_book(), period_start=datetime.date(2026, 3, 2))
    with pytest.raises(DataError, match="run were made with other prices"):
        write_focus(path, finops(), price_book(file_sha256="f" * 64), period_start=MARCH)

    assert not path.exists()
