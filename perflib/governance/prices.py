"""
The price book: `params/prices.yaml`, read and checked completely before anything is counted with it.

A wrong price makes a wrong decision look exact, so nothing is guessed here: every price has a source and a date, all of
them are in one currency, and what does not fit is refused with its key and its value.

    book = load_prices()
    book.on_demand_per_hour.amount, book.currency, book.is_example
"""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from perflib import project
from perflib.errors import ParameterError, did_you_mean
from perflib.plain_yaml import read_yaml
from perflib.records import sha256_file
from perflib.results.governance import PriceBook

_SHIPPED = "params/prices.yaml"
# More than this of anything is a slip of the keyboard, and its powers would not be finite.
_MOST = 1e12
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def load_prices(
    name: str = "prices.yaml", folder: Path | None = None, *, today: datetime.date | None = None
) -> PriceBook:
    """
    Read a price book from ``params/``.

    Args:
        name: Of the file.
        folder: Where it lies.
        today: In UTC; no price may be of a later day. Tests pass their own.

    Raises:
        ParameterError: If the file is missing or no plain YAML, a key is missing, unknown or repeated, a number is not
            positive or not finite, three values do not ascend, currencies differ, or a date is none or to come.
    """
    path = (folder or project.root() / "params") / name
    try:
        book = _Book.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ParameterError(_problem(error, path)) from error
    _check_currencies(book, path)
    _check_dates(book, path, today=today or datetime.datetime.now(datetime.UTC).date())
    return _record(book, sha256_file(path))


def _iso_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("write a date as 2026-01-31")
    datetime.date.fromisoformat(text)
    return text


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("write one line of plain words")
    return text.strip()


_Amount = Annotated[float, Field(gt=0, le=_MOST, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
_Factor = Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Words = Annotated[str, Field(max_length=300), AfterValidator(_line)]
_Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
_Day = Annotated[str, AfterValidator(_iso_date)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Range(_Strict):
    p10: _Amount
    p50: _Amount
    p90: _Amount

    @model_validator(mode="after")
    def _ascends(self) -> "_Range":
        if not self.p10 <= self.p50 <= self.p90:
            raise ValueError(f"{self.p10:g}, {self.p50:g}, {self.p90:g} do not ascend; put the least first, as p10")
        return self


class _Price(_Strict):
    amount: _Amount
    source: _Words
    date: _Day
    currency: _Currency | None = None


class _Power(_Strict):
    idle_watt: _Range
    full_watt: _Range
    grid_gram_per_kwh: _Range
    embodied_gram: _Range
    lifetime_years: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    pue_ratio: _Factor
    source: _Words
    date: _Day

    @model_validator(mode="after")
    def _idle_is_less(self) -> "_Power":
        idle, full = self.idle_watt, self.full_watt
        for name in ("p10", "p50", "p90"):
            if getattr(idle, name) > getattr(full, name):
                raise ValueError(
                    f"idle_watt.{name} is {getattr(idle, name):g}, above full_watt with {getattr(full, name):g}; "
                    "an idle machine draws less, so correct one of them"
                )
        return self


class _Book(_Strict):
    example: bool
    currency: _Currency
    instance: _Words
    instance_core_count: _Count
    on_demand_per_hour: _Price
    reserved_per_hour: _Price
    work_per_day: _Price
    inferences_per_month: _Range
    peak_ratio: _Factor
    utilisation_ratio: _Share
    least_instance_count: _Count
    horizon_months: Annotated[int, Field(ge=1, le=600)]
    discount_per_year_ratio: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    effort_days: dict[str, _Range]
    power: _Power

    @model_validator(mode="after")
    def _has_default_effort(self) -> "_Book":
        if "default" not in self.effort_days:
            raise ValueError("effort_days has no `default`; add it for stages that have no line of their own")
        return self


def _problem(error: ValidationError, path: Path) -> str:
    """Say the first problem in one sentence, unknown keys first: they explain what seems to be missing."""
    problems = error.errors(include_url=False)
    first = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    if first["type"] == "extra_forbidden":
        return f"`{where}` is not a key of {path}; {did_you_mean(str(first['loc'][-1]), _keys_at(first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"{path} lacks `{where}`; add it, as in the shipped {_SHIPPED}."
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):
        return f"`{where}` in {path}: {first['ctx']['error']}."
    return f"`{where}` in {path} is {first['input']!r:.100}; {_reason(first)}."


def _reason(problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    wanted: dict[str, str] = {
        "float_type": "write a number, such as 12.5 or 300_000_000",
        "int_type": "write a whole number",
        "bool_type": "write true or false",
        "string_type": "write words in quotes",
        "model_type": "write `key: value` lines below it",
        "dict_type": "write `key: value` lines below it",
        "string_pattern_mismatch": "write three capital letters, such as EUR",
        "greater_than": "write a number above {gt:g}",
        "greater_than_equal": "write a number of at least {ge:g}",
        "less_than": "write a number below {lt:g}",
        "less_than_equal": "write a number of at most {le:g}",
        "finite_number": "write a number that is finite",
    }
    if problem["type"] in wanted:
        return wanted[problem["type"]].format(**problem.get("ctx", {}))
    return str(problem["msg"]).lower()


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model knows at a place; effort has any stage's name, with three values below."""
    if place and place[-1] != "power":
        is_price = str(place[-1]) in ("on_demand_per_hour", "reserved_per_hour", "work_per_day")
        return list((_Price if is_price else _Range).model_fields)
    return list((_Power if place else _Book).model_fields)


def _prices(book: _Book) -> dict[str, _Price]:
    return {name: getattr(book, name) for name in ("on_demand_per_hour", "reserved_per_hour", "work_per_day")}


def _check_currencies(book: _Book, path: Path) -> None:
    for name, price in _prices(book).items():
        if price.currency not in (None, book.currency):
            raise ParameterError(
                f"`{name}.currency` in {path} is {price.currency}, but the book is in {book.currency}; "
                "convert it, so that all prices are in one currency."
            )


def _check_dates(book: _Book, path: Path, *, today: datetime.date) -> None:
    dates = {f"{name}.date": price.date for name, price in _prices(book).items()} | {"power.date": book.power.date}
    for where, written in dates.items():
        if datetime.date.fromisoformat(written) > today:
            raise ParameterError(
                f"`{where}` in {path} is {written}, which is after today ({today}); write the day it was looked up."
            )


def _record(book: _Book, file_sha256: str) -> PriceBook:
    body = book.model_dump()
    body["is_example"] = body.pop("example")
    for name in _prices(book):
        # They are all the book's.
        del body[name]["currency"]
    return PriceBook.from_dict({"schema": PriceBook.schema, "file_sha256": file_sha256, **body})
