"""
Cells of a map: calls of so many texts that all have exactly so many tokens, timed as scenarios of their own.

A cell's name says all of it, so parent and worker agree by name, as they do on other scenarios, and each makes the
cell's inputs from the same file by the same rule:

    >>> [cell.name for cell in named_scenarios(["single", "4x16"])]
    ['single', '4x16']
    >>> cell("4x16").example_count, cell("4x16").length_token_count
    (4, 16)
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from perflib.benchmarking.scenarios import Scenario, get_scenarios
from perflib.encoded import MASK, Encoded
from perflib.errors import ParameterError

BATCHES = (1, 4, 8, 16)
LENGTHS = (8, 12, 16, 32, 64, 128)
# Without lengths the map has one axis, and room for more of it.
LONE_BATCHES = (*BATCHES, 32, 64)
# The processes are warm from the cells before; only the shape is new, and a map of many cells cannot wait long.
_MAX_WARMUP_SLOTS_COUNT = 8
_NAME = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")


@dataclasses.dataclass(frozen=True)
class Cell(Scenario):
    """
    One call of ``example_count`` texts of ``length_token_count`` real tokens each; 1 where inputs have no length.

    The number of a slot is its median call, which a single disturbed one does not move.
    """

    length_token_count: int = 1

    def sample(self, inputs: Encoded) -> Encoded:
        """Return the cell's inputs; see `exact_texts`."""
        return exact_texts(inputs, self.example_count, self.length_token_count)


def cell(name: str) -> Cell:
    """
    Return the cell of a name: ``4x16`` is four texts of 16 tokens.

    Raises:
        ParameterError: If the name is not two whole numbers above zero with an x between them.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ParameterError(f"`{name}` is no cell of a map; name one as batch and length, such as 4x16.")
    batch, length = (int(number) for number in found.groups())
    title = f"{batch} of {length} tokens"
    return Cell(
        name=name,
        title=title,
        example_count=batch,
        warmup_count=batch,
        is_one_by_one=False,
        statistic="p50",
        max_warmup_slots_count=_MAX_WARMUP_SLOTS_COUNT,
        length_token_count=length,
    )


def named_scenarios(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return scenarios and cells by name, each at most once; `ParameterError` for a name that is neither."""
    plain = [name for name in names if not _NAME.fullmatch(name)]
    known = {one.name: one for one in (get_scenarios(plain) if plain or not names else ())}
    return tuple(known.get(name) or cell(name) for name in names)


def grid_cells(inputs: Encoded) -> tuple[Cell, ...]:
    """
    Return the cells of a map, by batch and length: lengths up to the longest text, batches up to all texts there are.

    Example:
        >>> [one.name for one in grid_cells(Encoded({"pixels": np.zeros((9, 8, 8), np.float32)}))]
        ['1x1', '4x1', '8x1']
    """
    has_lengths = MASK in inputs.arrays
    longest = int(inputs.lengths().max())
    lengths = ([length for length in LENGTHS if length <= longest] or [longest]) if has_lengths else [1]
    batches = [batch for batch in (BATCHES if has_lengths else LONE_BATCHES) if batch <= len(inputs)]
    return tuple(cell(f"{batch}x{length}") for batch in batches for length in lengths)


def exact_texts(inputs: Encoded, count: int, length: int) -> Encoded:
    """
    Return real texts that are made exactly so long, so that nothing is padded; always the same ones.

    Those whose length is nearest are taken, nearest first, and again from the first where there are too few. A text
    keeps its first and last token, which may be special; of what lies between, the end is cut, or all is repeated.

    Args:
        inputs: The texts; without a mask, the first ``count`` examples are returned as they are.
        count: Examples wanted.
        length: Real tokens of each.
    """
    real = inputs.lengths()
    rows = np.resize(np.argsort(np.abs(real - length), kind="stable"), count)
    if MASK not in inputs.arrays:
        return inputs.take(rows)
    last = real[rows, None] - 1
    places = np.minimum(1 + np.arange(-1, length - 1) % np.maximum(last - 1, 1), last)
    places[:, -1:] = last
    places[:, 0] = 0
    return Encoded(
        {
            name: np.take_along_axis(array[rows], places, axis=1) if array.ndim == 2 else array[rows]
            for name, array in inputs.arrays.items()
        }
    )
