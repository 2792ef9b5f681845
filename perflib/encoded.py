"""
Model inputs as plain arrays: what a workload makes, a worker receives and a model is called with.

Texts have different lengths and padding is work that nobody asked for, so a batch is cut to its own longest row,
unless it is padding that is asked about.

    >>> import numpy as np
    >>> ids, mask = np.array([[5, 6, 7], [8, 0, 0]]), np.array([[1, 1, 1], [1, 0, 0]])
    >>> inputs = Encoded({"input_ids": ids, "attention_mask": mask})
    >>> inputs.take([1]).arrays["input_ids"].tolist()
    [[8]]
"""

import dataclasses
import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perflib import records
from perflib.errors import DataError

MASK = "attention_mask"


@dataclasses.dataclass(frozen=True)
class Encoded:
    """
    Named arrays whose first axis is the example.

    Where there is an ``attention_mask`` of shape (examples, tokens), every two-dimensional array is padded on the right
    and trimmed together with it.
    """

    arrays: Mapping[str, NDArray[np.generic]]

    def __post_init__(self) -> None:
        counts = {name: array.shape[0] for name, array in self.arrays.items()}
        if not counts or len(set(counts.values())) != 1:
            raise DataError(f"model inputs need the same number of examples in every array, but they have {counts}.")

    def __len__(self) -> int:
        return int(next(iter(self.arrays.values())).shape[0])

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of real tokens per example, shape (examples,); ones where nothing is padded."""
        mask = self.arrays.get(MASK)
        return np.ones(len(self), np.int64) if mask is None else mask.sum(axis=1).astype(np.int64)

    def take(self, rows: Sequence[int] | NDArray[np.integer] | slice) -> "Encoded":
        """Return some examples, in the order given, without padding that none of them needs."""
        picked = {name: array[rows] for name, array in self.arrays.items()}
        if MASK not in picked:
            return Encoded(picked)
        longest = max(int(picked[MASK].sum(axis=1).max(initial=0)), 1)
        return Encoded({name: array[:, :longest] if array.ndim == 2 else array for name, array in picked.items()})

    def rows(self, rows: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of some examples, with all the padding that they have."""
        return {name: array[rows] for name, array in self.arrays.items()}

    def batches(self, batch_size: int, *, is_padded: bool = False) -> list["Encoded"]:
        """
        Return consecutive batches in the order given.

        Args:
            batch_size: Examples per batch; the last one may have fewer.
            is_padded: Keep every batch as wide as the whole, instead of padding it to its own longest example.
        """
        parts = [slice(start, start + batch_size) for start in range(0, len(self), batch_size)]
        if is_padded:
            return [Encoded({name: array[part] for name, array in self.arrays.items()}) for part in parts]
        return [self.take(part) for part in parts]

    def stratified(self, count: int) -> "Encoded":
        """
        Return a fixed sample with the real distribution of lengths, in the order of the data.

        Examples are ranked by length and taken at equal steps, so a sample of 128 has the same quantiles as the whole.
        """
        return self if count >= len(self) else self.take(self.stratified_rows(count))

    def stratified_rows(self, count: int) -> NDArray[np.int64]:
        """Return the rows of the sample that `stratified` takes."""
        if count >= len(self):
            return np.arange(len(self), dtype=np.int64)
        ranked = np.argsort(self.lengths(), kind="stable")
        steps = (np.arange(count) + 0.5) * len(self) / count
        return np.sort(ranked[steps.astype(int)]).astype(np.int64)

    def digest(self) -> str:
        """Return a sha256 over names, types, shapes and values."""
        total = hashlib.sha256()
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
            total.update(array.tobytes())
        return total.hexdigest()

    def write(self, path: Path) -> Path:
        """Write the arrays to one ``.npz`` file, atomically."""
        buffer = io.BytesIO()
        np.savez(buffer, **{name: np.asarray(array) for name, array in self.arrays.items()})  # type: ignore[arg-type]
        records.write_bytes(path, buffer.getvalue())
        return path

    @classmethod
    def read(cls, path: Path) -> "Encoded":
        """Read what `write` wrote; nothing in the file can be code. `DataError` if it is anything else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls({name: file[name] for name in file.files})
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} holds no plain arrays ({error}); encode the inputs again.") from error
