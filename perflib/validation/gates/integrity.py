"""Gates A12 to A16: are these the numbers of this model, and does it give them whatever it is asked together with?"""

from collections.abc import Mapping

from perflib import units
from perflib.results import Invariance, Validation
from perflib.validation.gates.ruling import Limit, Rule, Ruling, capital, within, worst_of


def _finite(limit: Limit, found: Validation) -> Ruling:
    count = found.non_finite_count
    sentence = f"{count} answers are not finite numbers; {limit.limit:g} are allowed."
    return Ruling(within(float(count), limit), float(count), sentence)


def _sums(limit: Limit, found: Validation) -> Ruling:
    error = found.worst_sum_error_ratio
    if found.non_finite_count >= found.example_count:
        return Ruling("INCONCLUSIVE", None, f"None of {found.example_count:,} answers is finite, so nothing sums to 1.")
    return Ruling(
        within(error, limit), error, f"Probabilities sum to 1 within {error:.1g}; {limit.limit:g} is allowed."
    )


def _again(limit: Limit, found: Validation) -> Ruling:
    again = [one for one in found.invariance if one.what == ASKED_AGAIN]
    return worst_of([_difference(one, limit) for one in again], "The model was not asked again.")


def _batch(limit: Limit, found: Validation) -> Ruling:
    others = [one for one in found.invariance if one.what not in (ASKED_AGAIN, PADDED)]
    return worst_of([_changed(one, limit) for one in others], "The model was not asked in other batches.")


def _padding(limit: Limit, found: Validation) -> Ruling:
    padded = [one for one in found.invariance if one.what == PADDED]
    # Only who was asked again was asked with padding wherever the inputs have any.
    if not padded and any(one.what == ASKED_AGAIN for one in found.invariance):
        return Ruling("PASS", 0.0, "These inputs have no padding.")
    return worst_of([_changed(one, limit) for one in padded], "The model was not asked with more padding.")


def _largest_difference(limit: Limit, found: Validation) -> Ruling:
    others = [one for one in found.invariance if one.what != ASKED_AGAIN]
    return worst_of([_difference(one, limit) for one in others], "The model was not asked in other batches.")


def _identity(limit: Limit, found: Validation) -> Ruling:
    one = found.identity
    if one.timed_candidate_sha256 is None:
        return Ruling("INCONCLUSIVE", None, "Nothing was timed yet, so speed and answers cannot be of the same model.")
    pairs = {
        "the candidate that was timed": (one.timed_candidate_sha256, one.candidate_sha256),
        "the baseline that was timed": (one.timed_baseline_sha256, one.baseline_sha256),
        "the inputs that were timed": (one.timed_inputs_sha256, one.baseline_inputs_sha256),
        "what the candidate was asked": (one.candidate_inputs_sha256, one.baseline_inputs_sha256),
        "the candidate that was built": (one.built_sha256 or one.candidate_sha256, one.candidate_sha256),
    }
    other = [what for what, (timed, answered) in pairs.items() if timed != answered]
    if not other:
        return Ruling("PASS", 0.0, "Speed and answers are of the same models and the same inputs.")
    return Ruling(
        within(float(len(other)), limit),
        float(len(other)),
        f"Speed and answers are not of the same thing: {', '.join(other)} differs; time and validate one artifact.",
    )


def _apart(limit: Limit, found: Validation) -> Ruling:
    if not found.overlaps:
        return Ruling("INCONCLUSIVE", None, "Nobody looked whether test texts were used before.")
    count = sum(one.exact_count for one in found.overlaps)
    where = ", ".join(f"{one.exact_count} in {one.split}" for one in found.overlaps if one.exact_count)
    said = f"{count} test examples were used before ({where})" if count else "No test example was used before"
    return Ruling(within(float(count), limit), float(count), f"{said}; {limit.limit:g} are allowed.")


def _machine(limit: Limit, found: Validation) -> Ruling:
    one = found.identity
    if one.timed_hardware_class is None:
        return Ruling("INCONCLUSIVE", None, "Nothing was timed yet, so the machine cannot be compared.")
    is_other = one.timed_hardware_class != one.hardware_class
    said = f"Timed and validated on {one.hardware_class}; a target of another kind has to be validated again."
    if is_other:
        said = f"Timed on {one.timed_hardware_class}, validated on {one.hardware_class}; hold the roll-out."
    return Ruling(within(float(is_other), limit), float(is_other), said)


def _cut(limit: Limit, found: Validation) -> Ruling:
    long = "" if found.long_ratio is None else f" ({units.percent(found.long_ratio, 2)} reach the greatest length)"
    return Ruling(
        within(found.cut_ratio, limit),
        found.cut_ratio,
        f"{units.percent(found.cut_ratio, 2)} of inputs reach the candidate shorter than the baseline{long}; the limit "
        f"is {units.percent(limit.limit)}.",
    )


def _changed(one: Invariance, limit: Limit) -> Ruling:
    share = one.changed_label_count / one.example_count
    return Ruling(
        within(share, limit),
        share,
        f"{capital(one.what)}, {one.changed_label_count} of {one.example_count:,} labels change (a probability by "
        f"{one.max_difference_ratio:.2g} at most); {units.percent(limit.limit)} is allowed.",
    )


def _difference(one: Invariance, limit: Limit) -> Ruling:
    # A label that changes is a difference, also where a probability is no number.
    difference = max(one.max_difference_ratio, float(one.changed_label_count > 0))
    return Ruling(
        within(difference, limit),
        difference,
        f"{capital(one.what)}, a probability changes by up to {one.max_difference_ratio:.2g} and "
        f"{one.changed_label_count} labels; {limit.limit:g} is allowed.",
    )


ASKED_AGAIN, PADDED = "asked again", "padded to the longest"

INTEGRITY: Mapping[str, tuple[str, Rule]] = {
    "A12-finite": ("finite answers", _finite),
    "A12-sums": ("probabilities sum to one", _sums),
    "A12-again": ("the same answer again", _again),
    "A12-batch": ("other batches", _batch),
    "A12-padding": ("more padding", _padding),
    "A12-difference": ("largest difference by batch", _largest_difference),
    "A13": ("the model that was timed", _identity),
    "A14": ("test texts not used before", _apart),
    "A15": ("the machine that it runs on", _machine),
    "A16": ("inputs not cut", _cut),
}
