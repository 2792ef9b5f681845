"""
Which good runs stay when their artifacts need room: pure rules, without a disk.

A series is a candidate of a workload on a hardware class. Sizes are those of files by device and inode, because two
artifacts that share a file by a link need its room once.
"""

from collections.abc import Iterable, Mapping, Sequence

from perflib.results.history import Good

# Of one artifact: the size of each file, by device and inode.
Files = Mapping[tuple[int, int], int]


def choose_goods(
    goods: Sequence[Good], sizes: Mapping[str, Files], *, limit_bytes: int, good_count: int
) -> tuple[Good, ...]:
    """
    Return the goods that stay, in their order.

    Baselines and promoted ones stay, and of each series the last ``good_count`` runs with which nothing was wrong. If
    that is more than the limit, the oldest of these go first, then older baselines and promoted ones; the newest
    baseline and the newest promoted of a series never do, also where they alone are more than the limit.

    Args:
        goods: All of them.
        sizes: The files of each artifact that lies here, by its digest. A good of which nothing lies here is another
            machine's, and giving it up would make no room.
        limit_bytes: The most that may be kept.
        good_count: Runs of role ``good`` in each series.
    """
    left = _last_goods(goods, good_count)
    sacred = _sacred(left)
    needed = {one.artifact_sha256 for one in left if id(one) in sacred}
    # Missed least first.
    spare = sorted(
        (one for one in left if one.artifact_sha256 not in needed and sizes.get(one.artifact_sha256)),
        key=lambda one: (one.role != "good", one.run_ulid),
    )
    for one in spare:
        if total_bytes(sizes.get(other.artifact_sha256, {}) for other in left) <= limit_bytes:
            break
        left = [other for other in left if other is not one]
    return tuple(left)


def total_bytes(parts: Iterable[Files]) -> int:
    """
    Return what some artifacts take together.

    Example:
        >>> total_bytes([{(0, 7): 100}, {(0, 7): 100, (0, 8): 5}])
        105
    """
    return sum({inode: size_bytes for part in parts for inode, size_bytes in part.items()}.values())


def _last_goods(goods: Sequence[Good], good_count: int) -> list[Good]:
    """Leave out the runs of a series that have as many newer ones as are kept."""
    series: dict[tuple[str, str, str], list[Good]] = {}
    for one in goods:
        if one.role == "good":
            series.setdefault(_series(one), []).append(one)
    dropped = {
        id(one)
        for members in series.values()
        for one in sorted(members, key=lambda one: one.run_ulid, reverse=True)[good_count:]
    }
    return [one for one in goods if id(one) not in dropped]


def _sacred(goods: Sequence[Good]) -> set[int]:
    """Return the identities of the newest baseline and the newest promoted of each series."""
    newest: dict[tuple[str, ...], Good] = {}
    for one in goods:
        key = (*_series(one), one.role)
        if one.role != "good" and (key not in newest or one.run_ulid > newest[key].run_ulid):
            newest[key] = one
    return {id(one) for one in newest.values()}


def _series(one: Good) -> tuple[str, str, str]:
    return one.workload, one.candidate, one.hardware_class
