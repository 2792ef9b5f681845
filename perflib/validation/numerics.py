"""
Does an answer depend on what should not matter: its neighbours in the batch, its padding, or being asked again?

Dynamic quantization takes one scale for a whole batch, so what an example is answered can change with its neighbours.
The same inputs are therefore asked in several ways, and each time compared with the answers as the model is deployed.

    >>> sum_error_ratio(np.array([[0.25, 0.75], [0.5, 0.25]], np.float32))
    0.25
"""

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.encoded import MASK, Encoded
from perflib.progress import Progress
from perflib.results import Invariance
from perflib.validation.quality import answers

EXAMPLE_COUNT = 1024


def invariances(
    artifact: Artifact,
    encoded: Encoded,
    *,
    deployed: int | None = None,
    example_count: int = EXAMPLE_COUNT,
    seed: int = 0,
    label: str = "",
) -> tuple[Invariance, ...]:
    """
    Ask a fixed sample with the real lengths as deployed, then again and in other batches, and count what changes.

    Args:
        artifact: Which model.
        encoded: All inputs; the sample is taken at equal steps of length.
        deployed: Examples per batch as deployed; None takes the runtime block's.
        example_count: Size of the sample; all inputs where there are fewer.
        seed: Of the order that gives other neighbours.
        label: The model's name on the progress bar.

    Returns:
        One result for each way of asking: again, one at a time, in batches of 8, in batches of 32 in another order,
        and, where there is a mask, with every batch as wide as the longest input of the sample.
    """
    # Taken once more because a sample of everything comes back as it was, wider than its longest input needs.
    sample = encoded.stratified(example_count).take(slice(None))
    order = np.random.default_rng(seed).permutation(len(sample))
    has_mask = MASK in sample.arrays
    count = artifact.spec.runtime.batch_example_count if deployed is None else deployed
    with Progress(f"asking again {label}".strip(), (6 if has_mask else 5) * len(sample)) as bar:

        def ask(inputs: Encoded, batch_example_count: int, *, is_padded: bool = False) -> NDArray[np.float32]:
            return artifact.predict(
                inputs,
                batch_example_count=batch_example_count,
                is_padded=is_padded,
                on_batch=lambda done_count: bar.step(count=done_count),
            )

        before = ask(sample, count)
        after = {
            "asked again": ask(sample, count),
            "one at a time": ask(sample, 1),
            "batches of 8": ask(sample, 8),
            "batches of 32, other neighbours": ask(sample.take(order), 32)[np.argsort(order)],
        }
        if has_mask:
            after["padded to the longest"] = ask(sample, count, is_padded=True)
    return tuple(_compare(what, before, found) for what, found in after.items())


def sum_error_ratio(probabilities: NDArray[np.floating]) -> float:
    """
    Return how far the probabilities of one example are from summing to one, at worst.

    Args:
        probabilities: Shape (examples, classes); an example with a value that is not finite is left out.

    Returns:
        The largest |sum over classes - 1|; 0.0 where nothing is finite.
    """
    finite = probabilities[np.isfinite(probabilities).all(axis=1)]
    return float(np.abs(finite.sum(axis=1, dtype=np.float64) - 1.0).max(initial=0.0))


def non_finite_count(probabilities: NDArray[np.floating]) -> int:
    """Return how many examples have a probability that is NaN or infinite."""
    return int(np.sum(~np.isfinite(probabilities).all(axis=1)))


def _compare(what: str, before: NDArray[np.float32], after: NDArray[np.float32]) -> Invariance:
    both = np.isfinite(before) & np.isfinite(after)
    differences = np.abs(before[both].astype(np.float64) - after[both])
    return Invariance(
        what=what,
        example_count=len(before),
        changed_label_count=int(np.sum(answers(before) != answers(after))),
        max_difference_ratio=float(differences.max(initial=0.0)),
    )
