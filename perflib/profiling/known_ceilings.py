"""
The ceilings of this machine for one thread, for all, and for the powers of two between; measured once, then known.

    known = known_ceilings(read_card(), cache=cache_dir() / "ceilings")
    roofline = make_roofline(profile, ceilings_for(known.ceilings, profile.thread_count))

They are kept by hardware class, because they belong to the processor, and with the version of torch, because its
kernels reach them. A ceiling is a maximum: measuring again can only raise it, and tells how well it repeats.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from perflib.errors import DataError, ParameterError
from perflib.machine import MachineCard
from perflib.profiling.ceilings import measure_ceilings
from perflib.results import Ceilings
from perflib.results.model import CeilingRepeat, MachineCeilings


def known_ceilings(
    card: MachineCard,
    *,
    cache: Path,
    thread_counts: Iterable[int] | None = None,
    refresh: bool = False,
    measure: Callable[..., Ceilings] = measure_ceilings,
) -> MachineCeilings:
    """
    Return the machine's ceilings from the cache; what is missing there is measured and kept.

    A file that cannot be read, is damaged, or is of another machine or another torch is made anew.

    Args:
        card: Of this machine.
        cache: Folder of the files, one for each hardware class.
        thread_counts: Those that are needed; None for `usual_thread_counts`.
        refresh: Whether to measure again what is known; the larger rate stays.
        measure: Takes ``thread_count``; tests pass their own.

    Returns:
        MachineCeilings: Of every count that is known, asked for or not, fewest threads first.

    Raises:
        ParameterError: If a thread count is below 1, or none is asked for.
        MeasurementError: If the clock saw no time pass.
        DataError: If the folder cannot be written.
    """
    wanted = sorted(set(usual_thread_counts(card) if thread_counts is None else thread_counts))
    if not wanted or wanted[0] < 1:
        raise ParameterError(f"`thread_counts` are {wanted}; ask for at least one, and for at least 1 thread each.")
    path = cache / f"{card.hardware_class}.json"
    found = _read(path, card)
    known = {one.thread_count: one for one in found.ceilings}
    repeats = {one.thread_count: one for one in found.repeats}
    asked = [count for count in wanted if refresh or count not in known]
    if not asked:
        return found
    for count in asked:
        new = measure(thread_count=count)
        if count in known:
            repeats[count] = _repeat(known[count], new)
            new = _larger(known[count], new)
        known[count] = new
    whole = MachineCeilings(
        hardware_class=card.hardware_class,
        torch_version=_torch_version(card),
        ceilings=tuple(known[count] for count in sorted(known)),
        repeats=tuple(repeats[count] for count in sorted(repeats)),
    )
    whole.write(path)
    return whole


def usual_thread_counts(card: MachineCard) -> tuple[int, ...]:
    """
    Return one thread, the powers of two, all cores, and what an engine gets by default if that is another count.

    Example:
        >>> from unittest.mock import Mock
        >>> usual_thread_counts(Mock(core_count=6, thread_count=6))
        (1, 2, 4, 6)
    """
    powers = (2**exponent for exponent in range(card.core_count.bit_length()))
    return tuple(sorted({*powers, card.core_count, min(card.thread_count, card.core_count)}))


def ceilings_for(known: Sequence[Ceilings], thread_count: int) -> Ceilings:
    """
    Return the ceilings that bind a number of threads: of as many, else of the next larger count, else of the largest.

    More threads have no lower ceiling, so the next larger count stays a limit; above all cores there is nothing more.

    Raises:
        ParameterError: If nothing is known.

    Example:
        >>> peaks = [Ceilings(count, 1e11 * count, None, None, 1e10) for count in (1, 4)]
        >>> [ceilings_for(peaks, count).thread_count for count in (1, 2, 4, 9)]
        [1, 4, 4, 4]
    """
    if not known:
        raise ParameterError("no ceilings are known of this machine; measure them first.")
    enough = [one for one in known if one.thread_count >= thread_count]
    if enough:
        return min(enough, key=lambda one: one.thread_count)
    return max(known, key=lambda one: one.thread_count)


def _read(path: Path, card: MachineCard) -> MachineCeilings:
    """Return what is known of this machine with this torch, or an empty record."""
    nothing = MachineCeilings(card.hardware_class, _torch_version(card), (), ())
    try:
        found = MachineCeilings.read(path)
    except DataError:
        # Missing or damaged: it costs seconds to make anew, and nothing else hangs on it.
        return nothing
    is_ours = (found.hardware_class, found.torch_version) == (nothing.hardware_class, nothing.torch_version)
    return found if is_ours and _is_sound(found) else nothing


def _is_sound(found: MachineCeilings) -> bool:
    counts = [one.thread_count for one in found.ceilings]
    rates = [rate for one in found.ceilings for rate in (*one.product_op_per_sec.values(), one.copy_bytes_per_sec)]
    return len(set(counts)) == len(counts) and all(number > 0 for number in (*counts, *rates))


def _torch_version(card: MachineCard) -> str:
    return card.versions.get("torch", "")


def _larger(known: Ceilings, new: Ceilings) -> Ceilings:
    return Ceilings(
        thread_count=known.thread_count,
        fp32_flop_per_sec=max(known.fp32_flop_per_sec, new.fp32_flop_per_sec),
        bf16_flop_per_sec=_maximum(known.bf16_flop_per_sec, new.bf16_flop_per_sec),
        int8_op_per_sec=_maximum(known.int8_op_per_sec, new.int8_op_per_sec),
        copy_bytes_per_sec=max(known.copy_bytes_per_sec, new.copy_bytes_per_sec),
    )


def _repeat(known: Ceilings, new: Ceilings) -> CeilingRepeat:
    return CeilingRepeat(
        thread_count=known.thread_count,
        fp32_repeat_ratio=_apart_ratio(known.fp32_flop_per_sec, new.fp32_flop_per_sec),
        bf16_repeat_ratio=_apart_ratio(known.bf16_flop_per_sec, new.bf16_flop_per_sec),
        int8_repeat_ratio=_apart_ratio(known.int8_op_per_sec, new.int8_op_per_sec),
        copy_repeat_ratio=_apart_ratio(known.copy_bytes_per_sec, new.copy_bytes_per_sec),
    )


def _maximum(known: float | None, new: float | None) -> float | None:
    return max((rate for rate in (known, new) if rate is not None), default=None)


def _apart_ratio(known: float | None, new: float | None) -> float | None:
    return None if known is None or new is None else 1 - min(known, new) / max(known, new)
