"""The protocol: good replies become what they mean, and every wrong one is refused with what it said."""

import json
from typing import Any

import pytest

from perflib.benchmarking import protocol
from perflib.benchmarking.protocol import Loaded, ReplyError, Slot, Stopped

LOAD = {"load_sec": 0.8, "answer_shape": [1, 2], "python": "3.12.1", "versions": {"torch": "2.13.0"}}
SLOT = {"samples_sec": [0.0123, 1], "cpu_sec": 0.4, "involuntary_switch_count": 3, "energy_joule": 1.5}
STOP = {"peak_rss_bytes": 123_000, "peak_device_bytes": None}
# As they would stand on the wire: Python's JSON writes and reads the first three as well.
NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "true", "false", '"0.1"', "[0.1]", '{"a": 1}', "1" + 400 * "0"]


def over_the_wire(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply as it arrives."""
    return protocol.decode(json.dumps(reply).encode() + b"\n")


def shown(literal: str) -> str:
    """Return what a sentence has to show of a JSON literal; of a long one its beginning is enough."""
    return repr(json.loads(literal))[:20] if len(literal) < 100 else literal[:20]


# --- lines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [b"\n", b"hello\n", b"{\n", b'{"a": 1} {"b": 2}\n', b'{"samples_sec": [1,]}\n', b"\xff\xfe\x00\n", b"[" * 100_000],
    ids=["empty", "word", "half", "two", "comma", "bytes", "deep"],
)
def test_a_line_that_is_no_json_is_refused_with_its_beginning(line: bytes) -> None:
    """Rubbish of any kind and depth is one error whose sentence shows at most 80 bytes of it."""
    with pytest.raises(ReplyError, match="which is no JSON") as caught:
        protocol.decode(line)

    assert repr(line[:80]) in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("line", [b"[1, 2]\n", b"3\n", b"null\n", b'"samples_sec"\n', b"NaN\n", b"true\n"])
def test_json_that_is_no_object_is_refused(line: bytes) -> None:
    """A reply has names."""
    with pytest.raises(ReplyError, match="which is no JSON object") as caught:
        protocol.decode(line)

    assert repr(line) in str(caught.value)


# --- good replies -----------------------------------------------------------------------------------------------


def test_good_replies_become_what_they_mean() -> None:
    """Every field arrives under its own name and type."""
    assert protocol.loaded(over_the_wire(LOAD)) == Loaded(0.8, (1, 2), "3.12.1", {"torch": "2.13.0"})
    assert protocol.slot(over_the_wire(SLOT)) == Slot((0.0123, 1.0), 0.4, 3, 1.5)
    assert protocol.stopped(over_the_wire(STOP)) == Stopped(123_000, None)
    assert [type(value) for value in protocol.slot(over_the_wire(SLOT)).samples_sec] == [float, float]


def test_a_small_arm_may_answer_with_the_least() -> None:
    """A program of somebody else's need not know Python's version, its memory or its processor time."""
    assert protocol.loaded({"load_sec": 0, "answer_shape": [1, 2]}) == Loaded(0.0, (1, 2), "unknown", {})
    assert protocol.slot({"samples_sec": [0.1]}) == Slot((0.1,), None, None, None)
    assert protocol.stopped({}) == Stopped(None, None)


def test_unknown_keys_are_tolerated() -> None:
    """A newer arm may say more."""
    more = {"extra": [1, {"deep": None}], "note": "hello"}

    assert protocol.loaded(over_the_wire(LOAD | more)) == protocol.loaded(LOAD)
    assert protocol.slot(over_the_wire(SLOT | more)) == protocol.slot(SLOT)
    assert protocol.stopped(over_the_wire(STOP | more)) == protocol.stopped(STOP)


# --- slots ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("literal", [*NO_NUMBERS, "null", "-0.5", "-1e-300", "0", "0.0", "-0.0"])
def test_a_time_that_is_none_is_refused_with_its_value(literal: str) -> None:
    """One wrong time among good ones spoils the slot, whatever is wrong with it."""
    reply = protocol.decode(f'{{"samples_sec": [0.1, {literal}, 0.1]}}'.encode())

    with pytest.raises(ReplyError) as caught:
        protocol.slot(reply)

    assert shown(literal) in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_clock_that_went_backwards_is_named() -> None:
    """A time of zero or less is a number, and says what is wrong with the arm's clock."""
    with pytest.raises(ReplyError, match=r"timed a call at -0\.25 s: its clock stood still or went backwards"):
        protocol.slot({"samples_sec": [-0.25]})


@pytest.mark.parametrize("literal", ["null", "[]", "{}", '"0.1"', "0.1", "true", '{"0": 0.1}'])
def test_samples_that_are_no_list_of_times_are_refused(literal: str) -> None:
    """An empty list is no slot, and neither is a single number."""
    with pytest.raises(ReplyError, match="no list of times") as caught:
        protocol.slot(protocol.decode(f'{{"samples_sec": {literal}}}'.encode()))

    assert shown(literal) in str(caught.value)


@pytest.mark.parametrize("reply", [{}, LOAD, STOP])
def test_another_reply_is_no_slot(reply: dict[str, Any]) -> None:
    """An answer to something else is not taken for times."""
    with pytest.raises(ReplyError, match="samples_sec None"):
        protocol.slot(reply)


@pytest.mark.parametrize("key", ["cpu_sec", "energy_joule", "involuntary_switch_count"])
@pytest.mark.parametrize("literal", [*NO_NUMBERS, "-1"])
def test_a_wrong_usage_is_refused_with_its_value(key: str, literal: str) -> None:
    """Unknown is null; anything else that is no amount would become a wrong sum."""
    with pytest.raises(ReplyError) as caught:
        protocol.slot(protocol.decode(f'{{"samples_sec": [0.1], "{key}": {literal}}}'.encode()))

    assert key in str(caught.value)
    assert shown(literal) in str(caught.value)


# --- load and stop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("literal", [*NO_NUMBERS, "null", "-0.5"])
def test_a_wrong_load_time_is_refused_with_its_value(literal: str) -> None:
    """Loading may take no time at all, and never less."""
    reply = protocol.decode(f'{{"load_sec": {literal}, "answer_shape": [1, 2]}}'.encode())

    with pytest.raises(ReplyError, match="load_sec") as caught:
        protocol.loaded(reply)

    assert shown(literal) in str(caught.value)


@pytest.mark.parametrize(
    "literal",
    ["null", "2", '"12"', "{}", "[1, 0]", "[1, -2]", "[1, 2.0]", '[1, "2"]', "[[1, 2]]", "[1, null]", "[true, 2]"],
)
def test_a_shape_that_is_no_list_of_lengths_is_refused(literal: str) -> None:
    """Lengths are whole numbers above zero."""
    reply = protocol.decode(f'{{"load_sec": 0.1, "answer_shape": {literal}}}'.encode())

    with pytest.raises(ReplyError, match="no list of lengths") as caught:
        protocol.loaded(reply)

    assert repr(json.loads(literal)) in str(caught.value)


@pytest.mark.parametrize("literal", ["null", '[["torch", "2"]]', '"2.13.0"', "3"])
def test_versions_that_are_no_mapping_are_refused(literal: str) -> None:
    """A version belongs to a name."""
    with pytest.raises(ReplyError, match="no mapping") as caught:
        protocol.loaded(protocol.decode(f'{{"load_sec": 1, "answer_shape": [1], "versions": {literal}}}'.encode()))

    assert shown(literal) in str(caught.value)


@pytest.mark.parametrize("key", ["peak_rss_bytes", "peak_device_bytes"])
@pytest.mark.parametrize("literal", [*NO_NUMBERS, "-4096"])
def test_a_wrong_peak_is_refused_with_its_value(key: str, literal: str) -> None:
    """Memory is a number of bytes, or unknown."""
    with pytest.raises(ReplyError, match=key) as caught:
        protocol.stopped(protocol.decode(f'{{"{key}": {literal}}}'.encode()))

    assert shown(literal) in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        {"load_sec": 1, "answer_shape": [0] * 50_000},
        {"load_sec": 1, "answer_shape": [1], "versions": ["x"] * 50_000},
        {"load_sec": "9" * 50_000, "answer_shape": [1]},
    ],
    ids=["shape", "versions", "load_sec"],
)
def test_a_sentence_about_a_long_value_stays_a_sentence(reply: dict[str, Any]) -> None:
    """Nobody reads 50,000 zeros."""
    with pytest.raises(ReplyError) as caught:
        protocol.loaded(reply)

    assert len(str(caught.value)) < 300
