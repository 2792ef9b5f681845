"""
The costs of a run as a table in the columns of FOCUS 1.2, which tools for cloud bills read.

One row is one arm for one modelled month of 730 hours. Nothing here was billed: every row's `Tags` say
``{"perflib:basis": "modelled"}``, and rows of a run are alternatives to each other, not charges that add up to a bill.

All 21 mandatory columns are there, and the conditional ones that fit rented instances. An empty cell is FOCUS's null:
`ChargeClass` (no correction), `RegionId` and `SubAccountId` (not known).
"""

import csv
import datetime
import io
from decimal import Decimal
from pathlib import Path

from perflib.errors import DataError, ParameterError
from perflib.governance.economics import HOURS_PER_MONTH
from perflib.plain import plain_cell
from perflib.records import dumps, write_bytes
from perflib.results.governance import ArmCost, Finops, PriceBook

MANDATORY_COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
CONDITIONAL_COLUMNS = (
    *("ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "RegionId"),
    *("ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    *("SubAccountId", "Tags"),
)
COLUMNS = MANDATORY_COLUMNS + CONDITIONAL_COLUMNS
TAGS = {"perflib:basis": "modelled"}
_NOBODY = "perflib (modelled, nobody billed it)"


def write_focus(path: Path, finops: Finops, book: PriceBook, *, period_start: datetime.date) -> Path:
    """
    Write one row for each arm; the sum of ``EffectiveCost`` is that of the arms' ``month_amount``.

    Args:
        path: Of the CSV file (UTF-8).
        finops: Costs of a run.
        book: The prices that they were made with.
        period_start: First day of the month that the rows are written for.

    Returns:
        The path.

    Raises:
        ParameterError: If the period does not start with a month.
        DataError: If the costs were made with other prices, or the file cannot be written.
    """
    if period_start.day != 1:
        raise ParameterError(f"a month cannot start on {period_start}; give its first day.")
    if finops.prices_sha256 != book.file_sha256:
        raise DataError(f"the costs of {finops.run_id} were made with other prices; make them again with these.")
    # A line end alone would be taken for a part of the text by some readers; RFC 4180 wants both.
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for arm in finops.arms:
        writer.writerow(_row(arm, finops, book, period_start))
    write_bytes(path, text.getvalue().encode("utf-8"))
    return path


def _row(arm: ArmCost, finops: Finops, book: PriceBook, start: datetime.date) -> dict[str, str]:
    hours_count = arm.instance_count * HOURS_PER_MONTH
    return {
        **_when(start),
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), _decimal(arm.month_amount)),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), _decimal(book.on_demand_per_hour.amount)),
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), _decimal(hours_count)),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), "Hours"),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), _NOBODY),
        "BillingAccountId": "perflib-modelled",
        "BillingAccountName": "Modelled, not billed",
        "BillingCurrency": plain_cell(finops.currency),
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": plain_cell(_description(arm, finops, book)),
        "PricingCategory": "Standard",
        "RegionId": "",
        "ResourceId": plain_cell(f"{finops.run_id}/{arm.name}"),
        "ResourceName": plain_cell(arm.name),
        "ResourceType": "Instance",
        "ServiceCategory": "Compute",
        "ServiceName": "Model serving",
        "SkuId": plain_cell(book.instance),
        "SkuMeter": "Instance hours",
        "SkuPriceDetails": dumps({"CoreCount": book.instance_core_count, "InstanceType": book.instance}),
        "SkuPriceId": plain_cell(f"{book.instance}/on-demand"),
        "SubAccountId": "",
        "Tags": dumps(TAGS),
    }


def _description(arm: ArmCost, finops: Finops, book: PriceBook) -> str:
    words = "example prices" if finops.is_example else "prices"
    return (
        f"Modelled with {words} for a month of {HOURS_PER_MONTH} hours: "
        f"{arm.instance_count} x {book.instance} on demand, serving {arm.name}"
    )


def _when(start: datetime.date) -> dict[str, str]:
    """Return the month, its end excluded, as billing and as charge period."""
    after = (start + datetime.timedelta(days=31)).replace(day=1)
    return {
        f"{kind}Period{edge}": f"{day.isoformat()}T00:00:00Z"
        for kind in ("Billing", "Charge")
        for edge, day in (("Start", start), ("End", after))
    }


def _decimal(value: float) -> str:
    """Write every digit that a number has, and no exponent: FOCUS forbids it."""
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"
