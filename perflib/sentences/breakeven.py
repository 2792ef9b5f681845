"""Where break-even lies, and whether it was foreseen."""

import dataclasses

from perflib import units
from perflib.results import Breakeven, BreakevenCell

# Below this share of right signs a forecast is not called one.
GOOD_SHARE_RATIO = 0.9
_FASTER_SLOWER = ("IMPROVEMENT", "REGRESSION")


@dataclasses.dataclass(frozen=True)
class BreakevenScore:
    """
    How a prediction did in the decided cells; the others are counted and left out.

    ``commoner_count`` is how many signs are right if one always says the commoner one.
    """

    cells_count: int
    decided_count: int
    right_count: int
    commoner_count: int
    has_both_signs: bool

    @property
    def is_foreseen(self) -> bool:
        """Whether a map of both signs was predicted well: nine in ten, and better than the commoner sign."""
        is_good = self.right_count >= GOOD_SHARE_RATIO * self.decided_count
        return self.has_both_signs and is_good and self.right_count > self.commoner_count


def score(found: Breakeven) -> BreakevenScore:
    """Count what was decided, what was right, and what the commoner sign would have got."""
    faster_count, slower_count = (sum(one.verdict == word for one in found.cells) for word in _FASTER_SLOWER)
    return BreakevenScore(
        cells_count=len(found.cells),
        decided_count=faster_count + slower_count,
        right_count=sum(one.is_right is True for one in found.cells),
        commoner_count=max(faster_count, slower_count),
        has_both_signs=min(faster_count, slower_count) > 0,
    )


def breakeven_sentence(found: Breakeven) -> str:
    """Say how many cells were decided, how many signs were right, and where break-even lies."""
    if found.measured_at is None:
        return f"The map of {found.name} was predicted at {found.predicted_at} and has not been measured."
    said = score(found)
    if not said.decided_count:
        return f"None of the {said.cells_count} cells of {found.name} was decided, so the prediction stays untested."
    share = units.percent(said.right_count / said.decided_count, 0)
    return (
        f"{said.decided_count} of {said.cells_count} cells were decided{_left_out(said)}; the predicted sign is right "
        f"in {said.right_count} of them ({share}), always guessing the commoner sign would be in "
        f"{said.commoner_count}: {_judged(said)}. {_where(found)}"
    )


def _left_out(said: BreakevenScore) -> str:
    count = said.cells_count - said.decided_count
    return f" ({count} {'was' if count == 1 else 'were'} not, and left out)" if count else ""


def _judged(said: BreakevenScore) -> str:
    if said.is_foreseen:
        return "the map was foreseen"
    if not said.has_both_signs:
        return "the map has one sign only and proves no foresight"
    return (
        "the map was not foreseen: a disturbed probe would do that, or what an engine does in jumps (shapes, blocks, "
        "caches), which is not in the prediction"
    )


def _where(found: Breakeven) -> str:
    """Say for each batch size from which length on the candidate is faster; without lengths, from which batch size."""
    if {one.length_token_count for one in found.cells} == {1}:
        return f"{found.name} is {_switch([(one.batch_example_count, one) for one in found.cells], 'examples')}."
    rows: dict[str, list[int]] = {}
    for batch in sorted({one.batch_example_count for one in found.cells}):
        row = [(one.length_token_count, one) for one in found.cells if one.batch_example_count == batch]
        rows.setdefault(_switch(row, "tokens"), []).append(batch)
    told = [f"{said} at batch {_listed(batches)}" for said, batches in rows.items()]
    return f"{found.name} is {'; '.join(told)}."


def _switch(row: list[tuple[int, BreakevenCell]], unit: str) -> str:
    """Say where a row changes its sign, from its decided cells."""
    decided = sorted((at, one.verdict == "IMPROVEMENT") for at, one in row if one.verdict in _FASTER_SLOWER)
    if not decided:
        return "not decided"
    words = {True: "faster", False: "slower"}
    places = [place for place in range(1, len(decided)) if decided[place][1] != decided[place - 1][1]]
    if not places:
        return f"{words[decided[0][1]]} wherever it was decided"
    if len(places) > 1:
        return f"now faster, now slower between {decided[0][0]} and {decided[-1][0]} {unit}"
    (last, before), (first, after) = decided[places[0] - 1], decided[places[0]]
    return f"{words[before]} up to {last} {unit} and {words[after]} from {first} on"


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
