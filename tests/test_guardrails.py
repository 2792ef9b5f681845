"""Limits and waivers: every mistake is one sentence with its place, and the shipped files say what they should."""

import datetime
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from perflib import project
from perflib.errors import ParameterError
from perflib.guardrails import Waiver, load_guardrails, load_waivers, waived_gates
from perflib.pipeline import run_params
from perflib.validating import Limits
from perflib.validation.gates import CHURN_GATES, GATES, TIE_GATES, WARNING_GATES

LIMITS = "lossy:\n  A1: {limit: 0.99, source: us}\n"
TODAY = datetime.date(2026, 11, 22)
SHIPPED = project.root() / "params"


def refused(load: Callable[[], object], *said: str) -> None:
    """Check that loading ends in one printable sentence that says all of ``said``."""
    with pytest.raises(ParameterError) as caught:
        load()
    sentence = str(caught.value)

    assert sentence.isprintable()
    assert sentence[-1] in ".?"
    for words in said:
        assert words in sentence


# --- limits -----------------------------------------------------------------------------------------------------


def limit_of(gate: str, fields: str) -> str:
    """Return a file with one gate."""
    return f"lossy:\n  {gate}: {{limit: 0.01, source: us, {fields}}}\n"


# What is wrong with the guardrails, and what the sentence must name.
BAD_LIMITS = {
    "unknown gate": (LIMITS.replace("A1", "A21"), "guardrail `A21`", "known"),
    "nearly a gate": (LIMITS.replace("A1", "A3-negativ"), "did you mean `A3-negative`?"),
    "no limit": (LIMITS.replace("limit: 0.99, ", ""), "lossy.A1 needs `limit`"),
    "no source": (LIMITS.replace(", source: us", ""), "lossy.A1 needs `limit` and `source`"),
    "empty source": (LIMITS.replace("us", "' '"), "lossy.A1.source is ' '"),
    "a null source": (LIMITS.replace("us", "null"), "lossy.A1.source is None"),
    "a number as source": (LIMITS.replace("us", "3"), "lossy.A1.source is 3"),
    "unknown field": (LIMITS.replace("us", "us, warn: 1"), "lossy.A1", "`warn_limit`", "'warn': 1"),
    "a percentage": (LIMITS.replace("0.99", "99"), "lossy.A1.limit is 99", "between 0 and 1"),
    "just above one": (LIMITS.replace("0.99", "1.0000001"), "lossy.A1.limit is 1.0000001"),
    "negative": (LIMITS.replace("0.99", "-0.01"), "lossy.A1.limit is -0.01", "between 0 and 1"),
    "a word": (LIMITS.replace("0.99", "high"), "lossy.A1.limit is 'high'"),
    "a number in quotes": (LIMITS.replace("0.99", "'0.99'"), "lossy.A1.limit is '0.99'"),
    "a bool": (LIMITS.replace("0.99", "true"), "lossy.A1.limit is True"),
    "null": (LIMITS.replace("0.99", "null"), "lossy.A1.limit is None"),
    "a list": (LIMITS.replace("0.99", "[0.99]"), "lossy.A1.limit is [0.99]"),
    "NaN": (LIMITS.replace("0.99", ".nan"), "limits.yaml is nan"),
    "a gate that cannot warn": (limit_of("A1", "warn_limit: 0.02"), "A1.warn_limit is 0.02", "A3-negative", "can warn"),
    "a warning below the limit": (limit_of("A9", "warn_limit: 0.009"), "A9.warn_limit is 0.009", "which is 0.01"),
    "a negative warning": (limit_of("A9", "warn_limit: -1"), "A9.warn_limit is -1", "between 0 and 1"),
    "a warning above one": (limit_of("A9", "warn_limit: 2"), "A9.warn_limit is 2", "between 0 and 1"),
    "a bool as warning": (limit_of("A9", "warn_limit: true"), "A9.warn_limit is True"),
    "a null warning": (limit_of("A9", "warn_limit: null"), "A9.warn_limit is None"),
    "churn elsewhere": (limit_of("A2", "above_churn: true"), "A2.above_churn is True", "A4-cosine"),
    "churn that is a number": (limit_of("A9", "above_churn: 1"), "A9.above_churn is 1"),
    "churn that is a zero": (limit_of("A9", "above_churn: 0"), "A9.above_churn is 0"),
    "churn that is null": (limit_of("A9", "above_churn: null"), "A9.above_churn is None"),
    "ties elsewhere": (limit_of("A9", "free_ties: true"), "A9.free_ties is True", "A3-all, A3-negative"),
    "ties that are a word": (limit_of("A3-all", "free_ties: 'yes'"), "A3-all.free_ties is 'yes'"),
    "a gate without fields": ("lossy: {A1: 0.99}\n", "lossy.A1 needs", "0.99"),
    "a profile that is a number": ("lossy: 3\n", "profile `lossy`"),
    "a profile of null": ("lossy:\n", "profile `lossy`"),
    "an empty profile": (LIMITS + "lossless: {}\n", "profile `lossless`", "holds no gates"),
    "a profile twice": (LIMITS + LIMITS, "`lossy` stands twice"),
    "a gate twice": (LIMITS + "  A1: {limit: 0.9, source: us}\n", "`A1` stands twice"),
    "no margin": ("lossy: {A2: {limit: 0, source: us}}\n", "lossy.A2.limit is 0", "give a margin"),
    "empty": ("", "limits.yaml is empty"),
}


@pytest.mark.parametrize("what", BAD_LIMITS)
def test_wrong_limits_are_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    """Each mistake is named with the file, the profile and the gate."""
    text, *said = BAD_LIMITS[what]
    (tmp_path / "limits.yaml").write_text(text, encoding="utf-8")
    refused(lambda: load_guardrails("limits.yaml", tmp_path), "limits.yaml", *said)


@pytest.mark.parametrize("name", ["none.yaml", "", "a\0b", "x" * 5000])
def test_a_limits_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    """A name that no file can have is no traceback either."""
    with pytest.raises(ParameterError, match=r"does not exist|cannot be read"):
        load_guardrails(name, tmp_path)


@pytest.mark.parametrize(
    ("gate", "fields", "expected"),
    [
        ("A1", "limit: 0, source: us", (0.0, None, False, False)),
        ("A1", "limit: 1, source: us", (1.0, None, False, False)),
        ("A9", "limit: 0.01, warn_limit: 0.01, source: us", (0.01, 0.01, False, False)),
        ("A9", "limit: 0, warn_limit: 1, above_churn: true, source: us", (0.0, 1.0, True, False)),
        ("A3-all", "limit: 0.5, free_ties: true, source: us", (0.5, None, False, True)),
        ("A1", "limit: 0.5, above_churn: false, free_ties: false, source: us", (0.5, None, False, False)),
    ],
)
def test_a_limit_is_read_with_all_that_it_says(
    tmp_path: Path, gate: str, fields: str, expected: tuple[Any, ...]
) -> None:
    """The ends of the range are allowed, a warning may begin at the limit, and numbers become floats."""
    (tmp_path / "limits.yaml").write_text(f"mine: {{{gate}: {{{fields}}}}}\n")
    profiles, _ = load_guardrails("limits.yaml", tmp_path)
    limit = profiles["mine"][gate]

    assert (limit.limit, limit.warn_limit, limit.is_above_churn, limit.has_free_ties) == expected
    assert isinstance(limit.limit, float)
    assert limit.warn_limit is None or isinstance(limit.warn_limit, float)
    assert limit.source == "us"


@pytest.mark.parametrize(
    ("key", "value", "gates"),
    [("warn_limit", 0.5, WARNING_GATES), ("above_churn", True, CHURN_GATES), ("free_ties", True, TIE_GATES)],
)
def test_each_key_fits_its_gates_and_no_others(tmp_path: Path, key: str, value: object, gates: frozenset[str]) -> None:
    """Every gate is tried with every key."""
    fits = set()
    for gate in GATES:
        fields = {"limit": 0.1, "source": "us", key: value}
        (tmp_path / "limits.yaml").write_text(yaml.safe_dump({"mine": {gate: fields}}))
        try:
            load_guardrails("limits.yaml", tmp_path)
        except ParameterError:
            continue
        fits.add(gate)

    assert fits == gates


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    """A changed comment is a changed file."""
    shutil.copy(SHIPPED / "guardrails.yaml", tmp_path)
    limits, sha256 = load_guardrails("guardrails.yaml", tmp_path)
    with (tmp_path / "guardrails.yaml").open("a") as file:
        file.write(f"# {os.getpid()}\n")
    again, other_sha256 = load_guardrails("guardrails.yaml", tmp_path)

    assert (limits, sha256) == load_guardrails("guardrails.yaml")
    assert again == limits
    assert sha256 != other_sha256


def test_a_missing_profile_is_refused_where_limits_are_put_together() -> None:
    """With the one that was meant."""
    profiles, sha256 = load_guardrails("guardrails.yaml")

    assert Limits(profiles, sha256, "lossy").waivers == ()
    refused(lambda: Limits(profiles, sha256, "losy"), "profile `losy` is not in the file", "did you mean `lossy`?")


@pytest.fixture
def params_file(tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with one experiment that names a profile `mine`, and the shipped limits."""
    folder = tmp_path / "project"
    (folder / "params" / "experiments").mkdir(parents=True)
    for name in ("perflib", "notebooks"):
        (folder / name).mkdir()
    for name in ("guardrails.yaml", "prices.yaml"):
        shutil.copy(SHIPPED / name, folder / "params")
    experiment = "name: a\nrecipe: [precision]\npredicted_speedup_ratio: 2.0\nbecause: x\nguardrail_profile: {}\n"
    (folder / "params" / "experiments" / "a.yaml").write_text(experiment.format("lossles"))
    (folder / "params" / "p.yaml").write_text("workload: reviews-tiny\nexperiments: [a]\n")
    monkeypatch.setenv("PERFLIB_ROOT", str(folder))
    return folder / "params" / "p.yaml"


def test_a_missing_profile_stops_a_run_before_it_begins(params_file: Path, own_folders: Path) -> None:
    """The sentence names experiment and file, and nothing is left behind."""
    refused(
        lambda: run_params(params_file),
        "profile `lossles` of experiment a is not in guardrails.yaml",
        "did you mean `lossless`?",
    )
    assert not own_folders.exists()


@pytest.mark.parametrize("name", ["waivers.yaml", "others.yaml"])
def test_an_expired_waiver_stops_a_run_before_it_begins(params_file: Path, own_folders: Path, name: str) -> None:
    """It is read from the file that the run names, and nothing is left behind."""
    with params_file.open("a") as file:
        file.write("" if name == "waivers.yaml" else f"waivers: {name}\n")
    expired = {**WAIVER, "granted": "2020-01-01", "expires": "2020-02-01"}
    params_file.with_name(name).write_text(yaml.safe_dump({"waivers": [expired]}))
    refused(lambda: run_params(params_file), name, "expired on 2020-02-01")

    assert not own_folders.exists()


# --- the shipped limits -----------------------------------------------------------------------------------------

# Limit, and the number up to which it only warns, written down once more: a slip in the file must not pass unseen.
LOSSY: dict[str, tuple[float, float | None]] = {
    "A1": (0.99, None),
    "A2": (0.01, None),
    "A3-negative": (0.01, 0.02),
    "A3-all": (0.02, None),
    "A4-label-loyalty": (0.98, None),
    "A4-kl-mean": (0.01, None),
    "A4-kl-p99": (0.2, None),
    "A4-cosine": (0.99, None),
    "A5-ece": (0.01, 0.02),
    "A5-brier": (0.01, None),
    "A6-recall": (0.02, None),
    "A6-rate": (0.01, None),
    "A7-drop": (0.03, None),
    "A7-bound": (0.05, None),
    "A7-worst": (0.03, None),
    "A8-gap": (0.02, None),
    "A8-odds": (0.02, None),
    "A9": (0.01, 0.03),
    "A10-flips": (0.005, None),
    "A10-gap": (0.01, None),
    "A10-mean": (0.01, None),
    "A11": (0.02, None),
    "A12-finite": (0.0, None),
    "A12-sums": (1e-5, None),
    "A12-again": (0.0, None),
    "A12-batch": (0.001, 0.005),
    "A12-padding": (0.001, 0.005),
    "A13": (0.0, None),
    "A14": (0.0, None),
    "A15": (0.0, None),
    "A16": (0.0, None),
}
LOSSLESS = {
    "A1": 0.999,
    "A2": 0.002,
    "A3-negative": 0.0,
    "A3-all": 0.001,
    "A4-label-loyalty": 0.999,
    "A4-kl-mean": 1e-5,
    "A4-kl-p99": 1e-3,
    "A4-cosine": 0.99999,
    "A5-ece": 0.002,
    "A5-brier": 0.001,
    "A6-recall": 0.002,
    "A6-rate": 0.002,
    "A7-drop": 0.005,
    "A7-worst": 0.005,
    "A8-gap": 0.002,
    "A8-odds": 0.002,
    "A9": 0.002,
    "A10-flips": 0.001,
    "A10-gap": 0.001,
    "A10-mean": 0.001,
    "A11": 0.0,
    "A12-finite": 0.0,
    "A12-sums": 1e-5,
    "A12-again": 0.0,
    "A12-batch": 0.0,
    "A12-padding": 0.0,
    "A12-difference": 1e-4,
    "A13": 0.0,
    "A14": 0.0,
    "A15": 0.0,
    "A16": 0.0,
}


def test_the_shipped_limits_cover_every_gate() -> None:
    """Three profiles, no gate forgotten by all of them, and every limit says where it comes from."""
    profiles, sha256 = load_guardrails("guardrails.yaml")

    assert set(profiles) == {"lossless", "lossy", "retrained"}
    assert set().union(*profiles.values()) == set(GATES)
    assert all(limit.source.strip() for gates in profiles.values() for limit in gates.values())
    assert re.fullmatch(r"[0-9a-f]{64}", sha256)


def test_the_shipped_limits_of_lossy_candidates_are_these() -> None:
    """Number by number; nothing is forgiven for churn or ties."""
    lossy = load_guardrails("guardrails.yaml")[0]["lossy"]

    assert {gate: (limit.limit, limit.warn_limit) for gate, limit in lossy.items()} == LOSSY
    assert not any(limit.is_above_churn or limit.has_free_ties for limit in lossy.values())


def test_the_shipped_limits_of_lossless_candidates_are_these() -> None:
    """Rounding only: nothing warns, and of negative flips only ties of the baseline are forgiven."""
    lossless = load_guardrails("guardrails.yaml")[0]["lossless"]

    assert {gate: limit.limit for gate, limit in lossless.items()} == LOSSLESS
    assert not any(limit.is_above_churn or limit.warn_limit is not None for limit in lossless.values())
    assert {gate for gate, limit in lossless.items() if limit.has_free_ties} == {"A3-negative"}


def test_a_candidate_that_was_trained_again_is_allowed_the_churn_and_nothing_else() -> None:
    """Its limits are those of lossy candidates, and A3, A4, A7-bound and A9 bear what another seed changes."""
    retrained = load_guardrails("guardrails.yaml")[0]["retrained"]

    assert {gate: (limit.limit, limit.warn_limit) for gate, limit in retrained.items()} == LOSSY
    assert {gate for gate, limit in retrained.items() if limit.is_above_churn} == {
        *("A3-negative", "A3-all", "A4-label-loyalty", "A4-kl-mean", "A4-kl-p99", "A4-cosine", "A7-bound", "A9"),
    }
    assert not any(limit.has_free_ties for limit in retrained.values())


# --- waivers ----------------------------------------------------------------------------------------------------

WAIVER: dict[str, Any] = {
    "artifact": "0123456789ab",
    "gate": "A7-drop",
    "owner": "Ada Example, head of search",
    "reason": "Negated tweets lose two points.",
    "compensating_control": "The old model answers them.",
    "granted": "2026-11-22",
    "expires": "2027-01-31",
}


def load(folder: Path, *lines: Any, today: datetime.date = TODAY) -> tuple[Waiver, ...]:
    """Load a file with these waivers."""
    (folder / "waivers.yaml").write_text(yaml.safe_dump({"waivers": list(lines)}), encoding="utf-8")
    return load_waivers("waivers.yaml", folder, today=today)


def waiver(**change: Any) -> Waiver:
    """Return a waiver."""
    fields: dict[str, Any] = {
        "artifact_sha256": "0123456789ab",
        "gate": "A7-drop",
        "owner": "Ada",
        "reason": "no time",
        "compensating_control": "the old model.",
        "granted": TODAY,
        "expires": datetime.date(2027, 1, 31),
    }
    return Waiver(**fields | change)


def test_a_waiver_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    """Days become days; the sentence beside the gate names who, until when, why and what instead."""
    (found,) = load(tmp_path, WAIVER)

    assert found == waiver(
        owner=WAIVER["owner"], reason=WAIVER["reason"], compensating_control="The old model answers them."
    )
    assert found.sentence == (
        "Ada Example, head of search, until 2027-01-31: Negated tweets lose two points. "
        "Instead: The old model answers them."
    )
    assert waiver().sentence == "Ada, until 2027-01-31: no time. Instead: the old model."


def test_several_lines_of_a_reason_become_one(tmp_path: Path) -> None:
    """It stands beside a gate, in a table and in a terminal."""
    (found,) = load(tmp_path, WAIVER | {"reason": "  one\n  two\n", "owner": " Ada\tExample "})

    assert (found.owner, found.reason) == ("Ada Example", "one two")


@pytest.mark.parametrize("key", WAIVER)
def test_every_key_of_a_waiver_is_needed(tmp_path: Path, key: str) -> None:
    """A waiver without an owner, a reason or an end is none; nor is one that leaves it empty."""
    without = {name: value for name, value in WAIVER.items() if name != key}
    refused(lambda: load(tmp_path, without), "waiver 1 of", "waivers.yaml", f"lacks `{key}`")
    for empty in ("", "  \n", None, 3, ["a"]):
        refused(lambda empty=empty: load(tmp_path, WAIVER | {key: empty}), "waiver 1 of", f": {key} is {empty!r}")  # type: ignore[misc]


# What is wrong with a waiver, and what the sentence must name.
BAD_WAIVERS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"owners": "Ada"}, "`owners` is not known; did you mean `owner`?"),
    "unknown gate": ({"gate": "A7-dorp"}, "gate `A7-dorp` is not known; did you mean `A7-drop`?"),
    "the wrong model": ({"gate": "A13"}, "gate A13 cannot be waived"),
    "learnt by heart": ({"gate": "A14"}, "gate A14 cannot be waived"),
    "a short digest": ({"artifact": "0123456789a"}, "artifact is '0123456789a'"),
    "a long digest": ({"artifact": "a" * 65}, "give 12 to 64 digits"),
    "no digest": ({"artifact": "int8-candidate"}, "artifact is 'int8-candidate'"),
    "capitals": ({"artifact": "0123456789AB"}, "artifact is '0123456789AB'"),
    "a pattern": ({"artifact": "............"}, "artifact is '............'"),
    "a day that never was": ({"expires": "2026-02-30"}, "expires is '2026-02-30'; write a day as YYYY-MM-DD"),
    "a word for a day": ({"granted": "today"}, "granted is 'today'"),
    "a day the other way round": ({"granted": "22.11.2026"}, "granted is '22.11.2026'"),
    "a day without dashes": ({"granted": "20261122"}, "granted is '20261122'"),
    "a week": ({"granted": "2026-W47-7"}, "granted is '2026-W47-7'"),
    "a moment": ({"granted": "2026-11-22T10:00:00"}, "granted is '2026-11-22T10:00:00'"),
    "a day too long": ({"expires": "2027-02-21"}, "lasts from 2026-11-22 to 2027-02-21; at most 90 days"),
    "an end before the start": ({"expires": "2026-11-21"}, "lasts from 2026-11-22 to 2026-11-21"),
    "granted tomorrow": ({"granted": "2026-11-23"}, "granted on 2026-11-23, which is still to come"),
    "expired yesterday": (
        {"granted": "2026-10-01", "expires": "2026-11-21"},
        "(gate A7-drop) expired on 2026-11-21; decide anew or delete it",
    ),
    "a control code": ({"reason": "\x1b[2J"}, "reason is '\\x1b[2J'; write it as plain text"),
    "writing backwards": ({"owner": "\u202eadA"}, "owner is "),
}


@pytest.mark.parametrize("what", BAD_WAIVERS)
def test_a_wrong_waiver_is_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    """Each mistake is named with the number of the waiver and the file."""
    change, said = BAD_WAIVERS[what]
    refused(lambda: load(tmp_path, WAIVER, WAIVER | change), "waiver 2 of", "waivers.yaml", said)


@pytest.mark.parametrize("line", ["A7-drop", 3, None, ["A7-drop"]])
def test_a_line_that_is_no_waiver_is_refused(tmp_path: Path, line: object) -> None:
    """A gate's name alone waives nothing."""
    refused(lambda: load(tmp_path, line), f"is {line!r}; give it artifact, gate, owner")


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "2027-02-20"},
        {"expires": "2026-11-22"},
        {"granted": "2026-08-24", "expires": "2026-11-22"},
        {"artifact": "a" * 64},
        {"gate": "A12-finite"},
    ],
    ids=["ninety days", "one day", "the last day", "a whole digest", "another gate"],
)
def test_a_waiver_holds_up_to_its_borders(tmp_path: Path, change: dict[str, Any]) -> None:
    """Ninety days are allowed, and the day on which it expires still counts."""
    (found,) = load(tmp_path, WAIVER | change)

    assert found.expires.isoformat() == (WAIVER | change)["expires"]


def test_a_day_may_stand_without_quotes(tmp_path: Path) -> None:
    """YAML would make a date of it; what was written counts."""
    text = yaml.safe_dump({"waivers": [WAIVER]}).replace("'2026-11-22'", "2026-11-22")
    (tmp_path / "waivers.yaml").write_text(text)

    assert load_waivers("waivers.yaml", tmp_path, today=TODAY)[0].granted == datetime.date(2026, 11, 22)


def test_today_is_the_day_in_utc(tmp_path: Path) -> None:
    """Without a day of its own the loader asks the clock."""
    today = datetime.datetime.now(datetime.UTC).date()
    days = {"granted": today.isoformat(), "expires": (today + datetime.timedelta(days=1)).isoformat()}
    (tmp_path / "waivers.yaml").write_text(yaml.safe_dump({"waivers": [WAIVER | days]}))

    assert len(load_waivers("waivers.yaml", tmp_path)) == 1


def test_no_file_is_no_waiver(tmp_path: Path) -> None:
    """Nobody has to keep an empty file."""
    assert load_waivers("waivers.yaml", tmp_path) == ()
    assert load(tmp_path) == ()


@pytest.mark.parametrize(
    "text", ["waiver: []\n", "waivers: []\nothers: []\n", "waivers:\n", "waivers: {A1: x}\n", "- a\n", ""]
)
def test_a_file_without_the_list_is_refused(tmp_path: Path, text: str) -> None:
    """A slip in the key must not look like no waiver."""
    (tmp_path / "waivers.yaml").write_text(text)
    refused(lambda: load_waivers("waivers.yaml", tmp_path), "waivers.yaml")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """It is no traceback, and no missing file either."""
    refused(lambda: load_waivers(name, tmp_path), "cannot be read")


def test_a_waiver_is_for_one_artifact() -> None:
    """Its digest may be cut, from the front only; another artifact may fail nothing."""
    one, other = waiver(), waiver(artifact_sha256="f" * 64, gate="A9")
    digest = "0123456789ab" + "c" * 52

    assert waived_gates([one, other], digest) == {"A7-drop": one.sentence}
    assert waived_gates([one, other], "f" * 64) == {"A9": other.sentence}
    assert waived_gates([one, other], "c" + digest[:-1]) == {}
    assert waived_gates([one], "0123456789aa" + "c" * 52) == {}
    assert waived_gates([], digest) == {}


def test_one_artifact_may_have_several_waivers() -> None:
    """Each gate with its own sentence."""
    both = [waiver(), waiver(gate="A9", reason="another")]

    assert waived_gates(both, "0123456789ab" + "0" * 52) == {"A7-drop": both[0].sentence, "A9": both[1].sentence}


def test_the_shipped_waivers_are_none() -> None:
    """Nobody has let anything pass."""
    assert (SHIPPED / "waivers.yaml").is_file()
    assert load_waivers("waivers.yaml") == ()


def test_the_example_of_the_shipped_waivers_is_a_valid_one(tmp_path: Path) -> None:
    """Whoever takes the comment signs away makes no mistake."""
    lines = (SHIPPED / "waivers.yaml").read_text(encoding="utf-8").splitlines()
    example = [line.removeprefix("#") for line in lines if re.match(r"#\s{2,}", line)]
    (tmp_path / "waivers.yaml").write_text("\n".join(["waivers:", *example]), encoding="utf-8")
    (found,) = load_waivers("waivers.yaml", tmp_path, today=TODAY)

    assert found.gate in GATES
    assert waived_gates([found], found.artifact_sha256.ljust(64, "0")) == {found.gate: found.sentence}
