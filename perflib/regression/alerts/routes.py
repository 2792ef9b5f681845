"""
Who is told: `params/alerts.yaml` names channels and says which alerts go to which of them.

A channel's address is a secret, so the file holds only the name of the environment variable that has it. Mistakes are
refused in sentences that repeat no address, for somebody may have written one all the same.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perflib.errors import ParameterError, did_you_mean
from perflib.results.history import Family
from perflib.results.regression import Alert

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,80}")


class _Channel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url_env: str


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: list[str] = Field(min_length=1)
    workload: str = "*"
    candidate: str = "*"
    family: Family | list[Family] = []
    owner: str | None = None


class _Default(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: list[str] = []
    owner: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    channels: dict[str, _Channel] = {}
    routes: list[_Rule] = []
    default: _Default = _Default()
    reminder_hours: float | None = Field(None, gt=0, le=24 * 365, allow_inf_nan=False)


@dataclasses.dataclass(frozen=True)
class Route:
    """The channels and the owner of some alerts."""

    to: tuple[str, ...]
    owner: str | None
    workload: str = "*"
    candidate: str = "*"
    families: tuple[Family, ...] = ()

    def fits(self, alert: Alert) -> bool:
        """Say whether the alert's workload, and one of its series, are of this route."""
        return fnmatchcase(alert.workload, self.workload) and (
            any(
                fnmatchcase(one.series.candidate, self.candidate) and (not self.families or one.family in self.families)
                for one in alert.nominations
            )
            or (self.candidate == "*" and not self.families)
        )


@dataclasses.dataclass(frozen=True)
class Routes:
    """
    Everything that the file says.

    ``variables`` gives each channel the name of the environment variable that holds its address. The first route that
    fits an alert is taken, else ``default``. ``reminder_hours`` is None where nobody is reminded.
    """

    variables: Mapping[str, str]
    routes: tuple[Route, ...]
    default: Route
    reminder_hours: float | None

    def route(self, alert: Alert) -> Route:
        """Return where an alert goes."""
        return next((one for one in self.routes if one.fits(alert)), self.default)


def parse_routes(data: Mapping[str, Any], source: str = "params/alerts.yaml") -> Routes:
    """
    Check what the file says.

    Args:
        data: The file as plain values.
        source: Its name in the error sentence.

    Raises:
        ParameterError: If a key is unknown, a value wrong, a channel unknown, or an address stands in the file.
    """
    for place in _addresses(data, ""):
        raise ParameterError(
            f"{place or 'a key'} of {source} holds an address; addresses are secrets, and secrets belong in the "
            "environment, so give the channel `url_env:` with the name of the variable that holds it."
        )
    try:
        # YAML reads a key whose lines are all commented out as null.
        file = _File.model_validate({key: value for key, value in data.items() if value is not None})
    except ValidationError as error:
        raise ParameterError(_first_problem(error, source)) from None
    for name, channel in file.channels.items():
        _check_channel(name, channel, source)
    for names in (*(one.to for one in file.routes), file.default.to):
        _check_known(names, file.channels, source)
    return Routes(
        variables={name: channel.url_env for name, channel in file.channels.items()},
        routes=tuple(
            Route(tuple(dict.fromkeys(one.to)), one.owner, one.workload, one.candidate, _families(one))
            for one in file.routes
        ),
        default=Route(tuple(dict.fromkeys(file.default.to)), file.default.owner),
        reminder_hours=file.reminder_hours,
    )


def _families(rule: _Rule) -> tuple[Family, ...]:
    return tuple(rule.family) if isinstance(rule.family, list) else (rule.family,)


def _check_channel(name: str, channel: _Channel, source: str) -> None:
    if not _NAME.fullmatch(name):
        raise ParameterError(
            f"{source} has a channel whose name is no short word; use letters, digits, `_`, `.` and `-`."
        )
    if not _VARIABLE.fullmatch(channel.url_env):
        raise ParameterError(
            f"`channels.{name}.url_env` of {source} is no name of an environment variable; write one in capitals, such "
            "as TEAM_SLACK_URL, and put the address there."
        )


def _check_known(names: list[str], channels: Mapping[str, _Channel], source: str) -> None:
    for name in names:
        if name not in channels:
            raise ParameterError(f"channel `{name}` of {source} is not known; {did_you_mean(name, channels)}")


def _addresses(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, str) and "://" in value:
        yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if "://" in str(key):
                yield place
            yield from _addresses(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _addresses(inner, f"{place}.{index}")


def _first_problem(error: ValidationError, source: str) -> str:
    # What was written instead is not shown: it may be a secret in the wrong place.
    found = error.errors(include_input=False, include_url=False)
    first = min(found, key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"][:3])
    if first["type"] == "extra_forbidden":
        known: dict[str, type[BaseModel]] = {"channels": _Channel, "routes": _Rule, "default": _Default}
        part = known.get(str(first["loc"][0]), _File) if len(first["loc"]) > 1 else _File
        return f"`{where}` of {source} is not known; {did_you_mean(str(first['loc'][-1]), part.model_fields)}"
    if first["type"] == "missing":
        return f"{source} lacks `{where}`; add it, as its comments show."
    return f"`{where}` of {source} is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}."
