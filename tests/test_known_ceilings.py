"""Ceilings that are kept: what is measured, read again or thrown away, and which count binds a profile."""

import dataclasses
from pathlib import Path

import pytest

from perflib.errors import DataError, ParameterError
from perflib.machine import MachineCard
from perflib.profiling.known_ceilings import ceilings_for, known_ceilings, usual_thread_counts
from perflib.records import read_json, write_json
from perflib.results import Ceilings
from perflib.results.model import MachineCeilings
from tests.synthetic_profiles import make_ceilings

CARD = MachineCard(
    hardware_class="cpu-6c-8g-abc",
    cpu_model="cpu",
    isa_flags=(),
    core_count=6,
    memory_bytes=2**33,
    gpus=(),
    governor=None,
    has_turbo=None,
    is_container=False,
    is_virtual=False,
    thread_count=6,
    operating_system="Linux",
    kernel="6",
    python="3.11",
    versions={"torch": "2.13.0"},
)


class FakeMeasure:
    """Gives the ceilings of a machine, all rates times a factor for each round, and counts what was asked."""

    def __init__(self, *factors: float, **changes: float | None) -> None:
        self.factors, self.changes, self.asked = factors or (1.0,), changes, list[int]()

    def __call__(self, *, thread_count: int) -> Ceilings:
        """Return what this round gives for so many threads."""
        factor = self.factors[min(self.asked.count(thread_count), len(self.factors) - 1)]
        self.asked.append(thread_count)
        one = make_ceilings(thread_count, **self.changes)
        scaled = {
            field.name: getattr(one, field.name) * factor
            for field in dataclasses.fields(one)
            if field.name != "thread_count" and getattr(one, field.name) is not None
        }
        return dataclasses.replace(one, **scaled)


def test_the_usual_counts_are_one_the_powers_of_two_and_all() -> None:
    """Six cores have 1, 2, 4 and 6; fewer threads by default are added, and more than the cores are not."""
    assert usual_thread_counts(CARD) == (1, 2, 4, 6)
    assert usual_thread_counts(dataclasses.replace(CARD, core_count=1, thread_count=1)) == (1,)
    assert usual_thread_counts(dataclasses.replace(CARD, core_count=8, thread_count=3)) == (1, 2, 3, 4, 8)
    assert usual_thread_counts(dataclasses.replace(CARD, core_count=2, thread_count=5)) == (1, 2)


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    """The second call reads the file, and a new count is measured alone and kept with the others."""
    measure = FakeMeasure()
    first = known_ceilings(CARD, cache=tmp_path, measure=measure)
    again = known_ceilings(CARD, cache=tmp_path, measure=measure)
    more = known_ceilings(CARD, cache=tmp_path, thread_counts=[3, 3, 1], measure=measure)

    assert measure.asked == [1, 2, 4, 6, 3]
    assert first == again == MachineCeilings("cpu-6c-8g-abc", "2.13.0", tuple(map(make_ceilings, (1, 2, 4, 6))), ())
    assert [one.thread_count for one in more.ceilings] == [1, 2, 3, 4, 6]
    assert MachineCeilings.read(tmp_path / "cpu-6c-8g-abc.json") == more


def test_measuring_again_keeps_the_larger_and_tells_how_far_apart(tmp_path: Path) -> None:
    """A ceiling only rises; the difference is a share of the larger of both, whichever came first."""
    measure = FakeMeasure(1.0, 1.25, 1.0)
    known_ceilings(CARD, cache=tmp_path, thread_counts=[2], measure=measure)
    risen = known_ceilings(CARD, cache=tmp_path, thread_counts=[2], refresh=True, measure=measure)
    fallen = known_ceilings(CARD, cache=tmp_path, thread_counts=[2], refresh=True, measure=measure)

    for found in (risen, fallen):
        assert found.ceilings[0].fp32_flop_per_sec == 250e9
        assert found.ceilings[0].copy_bytes_per_sec == 30e9
        assert len(found.repeats) == 1
        assert found.repeats[0].fp32_repeat_ratio == pytest.approx(0.2)
        assert found.repeats[0].worst_repeat_ratio == pytest.approx(0.2)


def test_the_worst_repeat_is_of_all_rates(tmp_path: Path) -> None:
    """A rate that only one measurement has is kept, and has no repeat."""
    known_ceilings(CARD, cache=tmp_path, thread_counts=[1], measure=FakeMeasure(bf16_flop_per_sec=None))
    changed = FakeMeasure(int8_op_per_sec=360e9, copy_bytes_per_sec=12e9)
    found = known_ceilings(CARD, cache=tmp_path, thread_counts=[1], refresh=True, measure=changed)
    repeat = found.repeats[0]

    assert found.ceilings[0].bf16_flop_per_sec == 350e9
    assert repeat.bf16_repeat_ratio is None
    assert (repeat.fp32_repeat_ratio, repeat.copy_repeat_ratio) == (0.0, 0.0)
    assert repeat.int8_repeat_ratio == repeat.worst_repeat_ratio == pytest.approx(0.2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "perflib/other/1"}', "\x00\xff", '{"a": NaN}'])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: str) -> None:
    """It costs seconds to measure, so nobody has to repair anything."""
    path = tmp_path / "cpu-6c-8g-abc.json"
    path.write_bytes(content.encode("latin-1"))
    measure = FakeMeasure()
    found = known_ceilings(CARD, cache=tmp_path, thread_counts=[1], measure=measure)

    assert measure.asked == [1]
    assert MachineCeilings.read(path) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"hardware_class": "another"},
        {"torch_version": "2.14.0"},
        {"ceilings": [dataclasses.asdict(make_ceilings(1, fp32_flop_per_sec=0.0))]},
        {"ceilings": [dataclasses.asdict(make_ceilings(1, copy_bytes_per_sec=-1.0))]},
        {"ceilings": [dataclasses.asdict(make_ceilings(0))]},
        {"ceilings": [dataclasses.asdict(make_ceilings(1))] * 2},
    ],
)
def test_a_file_of_another_machine_or_with_impossible_rates_is_made_anew(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    """What is well-formed is not yet ours, and not yet possible."""
    whole = known_ceilings(CARD, cache=tmp_path, thread_counts=[1], measure=FakeMeasure())
    path = tmp_path / "cpu-6c-8g-abc.json"
    write_json(path, {**read_json(path), **wrong})
    measure = FakeMeasure()

    assert known_ceilings(CARD, cache=tmp_path, thread_counts=[1], measure=measure) == whole
    assert measure.asked == [1]


def test_another_torch_forgets_every_count(tmp_path: Path) -> None:
    """Ceilings of two versions never stand side by side."""
    known_ceilings(CARD, cache=tmp_path, measure=FakeMeasure())
    newer = dataclasses.replace(CARD, versions={"torch": "2.14.0"})
    found = known_ceilings(newer, cache=tmp_path, thread_counts=[2], measure=FakeMeasure())

    assert found == MachineCeilings("cpu-6c-8g-abc", "2.14.0", (make_ceilings(2),), ())


@pytest.mark.parametrize("thread_counts", [[], [0], [2, -1]])
def test_no_count_and_no_thread_are_refused(tmp_path: Path, thread_counts: list[int]) -> None:
    """Before anything is measured."""
    measure = FakeMeasure()
    with pytest.raises(ParameterError, match="at least 1 thread"):
        known_ceilings(CARD, cache=tmp_path, thread_counts=thread_counts, measure=measure)

    assert measure.asked == []


def test_a_cache_that_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    """The path is named, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written .* choose another folder"):
        known_ceilings(CARD, cache=tmp_path / "file", thread_counts=[1], measure=FakeMeasure())


def test_as_many_threads_else_the_next_more_else_all() -> None:
    """A count between two is bound by the larger; more threads than cores have no more than all cores."""
    known = [make_ceilings(count) for count in (4, 1, 2)]

    assert [ceilings_for(known, count).thread_count for count in (1, 2, 3, 4, 64)] == [1, 2, 4, 4, 4]
    with pytest.raises(ParameterError, match="measure them first"):
        ceilings_for([], 1)
