"""Errors: one class per next action, and the exit code that goes with it."""

import pytest

from perflib import errors


def test_every_error_is_a_perflib_error_with_an_exit_code() -> None:
    """The command line can catch the root and knows the code of each child."""
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.PerflibError)
    }

    assert codes.pop("NotebookError") == 4
    assert set(codes.values()) == {1}
    assert {"ParameterError", "SetupError", "DataError", "StageError", "MeasurementError"} <= set(codes)


@pytest.mark.parametrize(("signal_number", "exit_code"), [(2, 130), (15, 143)])
def test_an_interrupted_run_leaves_with_the_code_of_its_signal(signal_number: int, exit_code: int) -> None:
    """A shell expects 128 plus the signal's number."""
    error = errors.InterruptedRunError("stopped", signal_number=signal_number)

    assert error.exit_code == exit_code
    assert str(error) == "stopped"


def test_a_near_miss_is_suggested() -> None:
    """A typing error is answered with the word that was meant."""
    assert errors.did_you_mean("batch_sizes", ["seed", "batch_size"]) == "did you mean `batch_size`?"


def test_without_a_near_miss_all_words_are_listed() -> None:
    """A word like no other is answered with the sorted list, also when the list is empty."""
    assert errors.did_you_mean("zzz", ["b", "a"]) == "known are: a, b."
    assert errors.did_you_mean("zzz", []) == "known are: none."
