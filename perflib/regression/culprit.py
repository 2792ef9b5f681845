"""
Which component did it: artifact, lock or parameters, each put into the last good state by itself.

With a single difference there is nothing to search. With several, each is swapped alone and judged by the same rerun; a
component that is worse by itself is a culprit. If it is the lock and several packages differ, each package is put back
alone in the same way.
"""

from perflib.regression.components import change_words
from perflib.regression.locks import change_words as package_words
from perflib.regression.locks import diff_locks
from perflib.regression.reruns import Case, Reruns
from perflib.results.history import Component, Family
from perflib.results.regression import Culprit, Rerun

# More packages than these are named together: every one of them costs a comparison.
MOST_PACKAGES_COUNT = 6


def find_culprits(
    case: Case, family: Family, whole: Rerun, reruns: Reruns
) -> tuple[tuple[Culprit, ...], tuple[Rerun, ...]]:
    """
    Name the components that make it worse by themselves.

    Args:
        case: What is compared.
        family: Of what was nominated.
        whole: The rerun with everything swapped, which is worse.
        reruns: Judges further swaps, each of them once.

    Returns:
        The culprits, and the reruns that it took to find them. No culprits: none is worse alone.
    """
    if len(case.differing) == 1:
        return _named(case, family, case.differing[0], whole, reruns)
    culprits: list[Culprit] = []
    tried: list[Rerun] = []
    for component in case.differing:
        rerun = reruns.judge((component,))[family].rerun
        tried.append(rerun)
        if rerun.is_worse:
            named, more = _named(case, family, component, rerun, reruns)
            culprits += named
            tried += more
    return tuple(culprits), tuple(tried)


def _named(
    case: Case, family: Family, component: Component, rerun: Rerun, reruns: Reruns
) -> tuple[tuple[Culprit, ...], tuple[Rerun, ...]]:
    if component != "lock":
        words = change_words(case.good.artifact.spec, case.suspect.artifact.spec, component)
        return (Culprit(component, words, rerun.ratio),), ()
    changes = diff_locks(case.good.lock, case.suspect.lock)
    if not changes:
        words = f"Python {case.good.lock.python} -> {case.suspect.lock.python}, with the same packages"
        return (Culprit(component, words, rerun.ratio),), ()
    together = ", ".join(package_words(one) for one in changes[:MOST_PACKAGES_COUNT])
    if len(changes) > MOST_PACKAGES_COUNT:
        together += f" and {len(changes) - MOST_PACKAGES_COUNT} more"
    if not 1 < len(changes) <= MOST_PACKAGES_COUNT:
        return (Culprit("lock", together, rerun.ratio),), ()
    tried = {one: reruns.judge(("lock",), package=one.name)[family].rerun for one in changes if one.before is not None}
    guilty = tuple(Culprit("lock", package_words(one), found.ratio) for one, found in tried.items() if found.is_worse)
    return guilty or (Culprit("lock", together, rerun.ratio),), tuple(tried.values())
