"""
The answers of a model in a process of its own, perhaps under another environment's Python.

    python -m perflib.regression.answering ARTIFACT INPUTS.npz ANSWERS.npy

Inputs come encoded, so that both sides of a comparison are asked the very same; a library that encodes differently
shows in the data, not here.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.benchmarking.arm import lend_package
from perflib.encoded import Encoded
from perflib.errors import MeasurementError, PerflibError

TIMEOUT_SEC = 1800.0
_TAIL_CHARS = 300


def answers_under(
    python: str, artifact: Artifact, encoded: Encoded, *, timeout_sec: float = TIMEOUT_SEC
) -> NDArray[np.float32]:
    """
    Ask a model everything under a Python of its own.

    Args:
        python: The interpreter.
        artifact: The model.
        encoded: What it is asked.
        timeout_sec: How long that may take.

    Returns:
        Probabilities, float32, shape (examples, classes).

    Raises:
        MeasurementError: If the process fails, hangs or writes no answers; the sentence holds its last output.
    """
    with tempfile.TemporaryDirectory(prefix="perflib-") as folder, lend_package() as lent:
        inputs, answers = encoded.write(Path(folder) / "inputs.npz"), Path(folder) / "answers.npy"
        words = (python, "-m", __name__, str(artifact.folder), str(inputs), str(answers))
        try:
            done = subprocess.run(
                words,
                env={**os.environ, "PYTHONPATH": lent},
                capture_output=True,
                timeout=timeout_sec,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MeasurementError(
                f"{artifact.folder.name} gave no answers within {timeout_sec:g} s; ask it less or see why it hangs."
            ) from None
        if done.returncode or not answers.is_file():
            tail = " ".join(done.stderr.decode(errors="replace").split())[-_TAIL_CHARS:]
            raise MeasurementError(
                f"{artifact.folder.name} could not be asked (code {done.returncode}); its last output: {tail}"
            )
        loaded: NDArray[np.float32] = np.load(answers, allow_pickle=False)
        return loaded


def main(words: list[str] | None = None) -> int:
    """Answer once and write the answers."""
    artifact, inputs, answers = map(Path, words if words is not None else sys.argv[1:])
    try:
        np.save(answers, Artifact.load(artifact).predict(Encoded.read(inputs)), allow_pickle=False)
    except PerflibError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
