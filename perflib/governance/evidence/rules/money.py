"""I5 and I6: returns follow from the prices that were in force, and the modelled bill from the unit economics."""

import csv
import datetime
import decimal
import io
from collections.abc import Iterator, Mapping

from perflib.errors import DataError
from perflib.governance.backlog.recheck import check_returns
from perflib.governance.evidence.pack import Pack
from perflib.governance.evidence.rules.base import Look, Setting, broken, held
from perflib.governance.evidence.strict import load_json, shown
from perflib.records import sha256_bytes
from perflib.results import Comparison, Validation
from perflib.results.governance import Backlog, BacklogItem, Carbon, Finops, PriceBook
from perflib.results.speed import Interval

BACKLOG, FINOPS, PRICES = "records/backlog-run.json", "records/finops-run.json", "records/prices-run.json"
CARBON, FOCUS, PRICES_FILE = "records/carbon-run.json", "finops/focus.csv", "params/prices.yaml"
# FOCUS 1.2 calls these mandatory.
FOCUS_COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
_COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
_PERIODS = (("BillingPeriodStart", "BillingPeriodEnd"), ("ChargePeriodStart", "ChargePeriodEnd"))
_TOLERANCE_AMOUNT = decimal.Decimal("0.01")
_MAX_ROWS_COUNT = 10_000
# All draws of all items are made again; nobody may ask for a day of them.
_MAX_DRAWS_COUNT = 20_000_000


def returns(pack: Pack, _: Setting) -> Iterator[Look]:
    """Make ROI, payback and RICE again, and hold what they start from against its own records (I5)."""
    backlog, book = pack.record(Backlog, BACKLOG), pack.record(PriceBook, PRICES)
    is_book = book.file_sha256 == sha256_bytes(pack.content(PRICES_FILE))
    yield held(is_book, "I5", PRICES, f"It was not read from the {PRICES_FILE} that is in the pack.")
    if CARBON in pack:
        is_same = pack.record(Carbon, CARBON).prices_sha256 == book.file_sha256
        yield held(is_same, "I5", CARBON, "It was made with other prices.")
    draws_count = sum(item.returns.draw_count for item in backlog.items if item.returns is not None)
    if draws_count > _MAX_DRAWS_COUNT:
        raise DataError(f"{BACKLOG} asks for {draws_count:,} draws; no backlog of ours does.")
    wrong = check_returns(backlog, book, pack.record(Finops, FINOPS))
    yield from [None] * len(backlog.items)
    for sentence in wrong:
        yield broken("I5", BACKLOG, sentence)
    for item in backlog.items:
        if item.kind == "candidate":
            yield from _measured(pack, item)


def costs(pack: Pack, _: Setting) -> Iterator[Look]:
    """Look at the columns, values and sum of the modelled bill (I6)."""
    finops = pack.record(Finops, FINOPS)
    header, rows = _rows(pack.text(FOCUS))
    missing = [name for name in FOCUS_COLUMNS if name not in header]
    yield held(not missing, "I6", FOCUS, f"Columns of FOCUS are missing: {', '.join(missing)}.")
    yield held(len(set(header)) == len(header), "I6", FOCUS, "A column stands twice.")
    if missing:
        return
    for number, row in enumerate(rows, start=2):
        for sentence in _row_problems(row, finops.currency):
            yield broken("I6", FOCUS, f"Line {number}: {sentence}")
        yield None
    total = sum((_amount(row["EffectiveCost"]) or decimal.Decimal(0) for row in rows), decimal.Decimal(0))
    wanted = sum((decimal.Decimal(repr(arm.month_amount)) for arm in finops.arms), decimal.Decimal(0))
    sentence = f"EffectiveCost sums to {total:,.2f}, the unit economics to {wanted:,.2f}."
    yield held(abs(total - wanted) <= _TOLERANCE_AMOUNT, "I6", FOCUS, sentence)


def _measured(pack: Pack, item: BacklogItem) -> Iterator[Look]:
    """Hold the ratios of an item against the records that they were measured in."""
    name = item.id.removeprefix("OPT-")
    comparison, validation = f"records/comparison-{name}.json", f"records/validation-{name}.json"
    if comparison in pack:
        timed = {one.scenario: one.speedup_ratio for one in pack.record(Comparison, comparison).scenarios}
        stated: dict[str, Interval | None] = {"single": item.latency_ratio, "offline": item.throughput_ratio}
        for scenario, ratio in stated.items():
            sentence = f"{item.id} states another ratio in {scenario} than was measured."
            yield held(ratio is None or ratio == timed.get(scenario), "I5", BACKLOG, sentence)
    if validation in pack:
        found = pack.record(Validation, validation)
        sentence = f"{item.id} states another accuracy than was counted."
        is_same = (item.accuracy_change_ratio, item.accuracy_verdict) == (found.accuracy_change_ratio, found.verdict)
        yield held(is_same, "I5", BACKLOG, sentence)


def _rows(text: str) -> tuple[list[str], list[dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        lines = []
        for line in reader:
            lines.append(line)
            if len(lines) > _MAX_ROWS_COUNT or len(line) != len(header):
                raise DataError(f"{FOCUS}, line {reader.line_num}: too many lines, or not as many cells as columns.")
    except csv.Error as error:
        raise DataError(f"{FOCUS} is no CSV ({shown(error)}); build the pack again.") from error
    return header, [dict(zip(header, line, strict=True)) for line in lines]


def _row_problems(row: Mapping[str, str], currency: str) -> Iterator[str]:
    for column in (*_COSTS, "PricingQuantity"):
        if _amount(row[column]) is None:
            yield f"{column} is {shown(row[column])}, which is no amount."
    for column in ("ChargeDescription", "ChargeCategory", "ServiceName", "ProviderName", "PricingUnit"):
        if not row[column].strip():
            yield f"{column} is empty."
    if row["BillingCurrency"] != currency:
        yield f"BillingCurrency is {shown(row['BillingCurrency'])}, and prices are in {shown(currency)}."
    for start, end in _PERIODS:
        begun, ended = _moment(row[start]), _moment(row[end])
        if begun is None or ended is None or begun >= ended:
            yield f"{start} and {end} are no period in UTC."
    tags = load_json(row.get("Tags", "{}").encode(), source=f"Tags of {FOCUS}")
    if not isinstance(tags, dict) or tags.get("perflib:basis") != "modelled":
        yield "Tags do not say that the row is modelled."


def _amount(text: str) -> decimal.Decimal | None:
    try:
        value = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < decimal.Decimal("1e15") else None


def _moment(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() == datetime.timedelta(0) else None
