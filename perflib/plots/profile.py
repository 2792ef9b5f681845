"""Where the time and the memory of a profiled model go: operators, kinds of work, modules, and memory over time."""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, INK, WIDTH_INCH, empty_figure, labelled, shortened, wrapped
from perflib.results import KINDS, Profile
from perflib.results.modules import grouped_modules
from perflib.sentences.profile import KIND_WORDS

# Families share a hue of the palette of Okabe and Ito: products blue, work on each number green, memory yellow and
# orange; what is no work is grey. Neighbours differ in lightness, so the order tells them apart without hue.
KIND_COLOURS = {
    "matrix": "#0072B2",
    "attention": "#7FB8D8",
    "normalisation": "#00664B",
    "elementwise": "#33B58F",
    "reduction": "#A6DCCB",
    "embedding": "#B37B00",
    "memory": "#F0C24B",
    "quantization": "#D55E00",
    "fused": "#CC79A7",
    "other": "#F2DCE8",
    "framework": "#7a7a7a",
    "idle": "#b5b5b5",
    "unattributed": "#e3e3e3",
}
_DARK = frozenset({"matrix", "normalisation", "embedding", "quantization", "framework"})
# Kinds of work that go with the number of tokens, padding included.
_PER_TOKEN = frozenset(
    ("matrix", "attention", "normalisation", "elementwise", "reduction", "embedding", "memory", "quantization", "fused")
)
# A narrower part of a bar has no room for its share.
_LEAST_LABEL_RATIO = 0.07
_BAR_INCH = 0.32
# Long names beside the bars leave a title little room.
_TITLE_CHARACTERS = 30


def plot_operators(profile: Profile, *, top_count: int = 10) -> tuple[Figure, Axes]:
    """Draw the operators in which most of the time is spent, by their own time."""
    if not profile.operators:
        return empty_figure(f"{profile.source} names no operators of {profile.name}.")
    rows = profile.operators[:top_count]
    names = [row.operator.removeprefix("aten::") for row in rows]
    shares = [row.self_share_ratio for row in rows]
    words = [_share_words(row.self_share_ratio, row.self_sec, profile) for row in rows]
    fig, ax = _bars(names, shares, words, xlabel="Share of operator self time [%]")
    ax.set_title(_most_words(names, shares))
    return labelled(fig, ax, f"Bars of operator self time: {_listed(names, shares)}.")


def plot_modules(profile: Profile, *, top_count: int = 10) -> tuple[Figure, Axes]:
    """Draw the modules in which most of the time is spent, the layers of a stack as one, without their children."""
    rows = [row for row in grouped_modules(profile) if row.self_sec > 0][:top_count]
    if not rows:
        return empty_figure(f"{profile.source} tells no modules of {profile.name}.")
    names = [row.module for row in rows]
    shares = [row.self_sec / profile.wall_sec for row in rows]
    words = [_share_words(share, row.self_sec, profile) for share, row in zip(shares, rows, strict=True)]
    fig, ax = _bars(names, shares, words, xlabel="Share of the wall time, without children [%]")
    ax.set_title(_most_words(names, shares))
    return labelled(fig, ax, f"Bars of the own time of modules: {_listed(names, shares)}.")


def plot_kinds(profiles: Sequence[Profile]) -> tuple[Figure, Axes]:
    """
    Draw what a step's wall time goes to, one stacked bar for each profile; what padding takes is hatched.

    Padding is counted for the kinds of work that go with the number of tokens.
    """
    if not profiles:
        return empty_figure("Nothing was profiled, so there are no kinds of work to draw.")
    longest_ms = max(_step_ms(profile) for profile in profiles)
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 0.5 * len(profiles) + 1.9))
    for place, profile in enumerate(profiles):
        _stack(ax, place, profile, longest_ms)
    ax.set_yticks(range(len(profiles)), [_whose(one) for one in profiles])
    ax.invert_yaxis()
    ax.set(xlabel="Wall time of a step, under the profiler [ms]", xlim=(0, 1.14 * longest_ms))
    ax.grid(axis="x")
    seen = {one.kind for profile in profiles for one in profile.kinds}
    handles = [Patch(facecolor=KIND_COLOURS[kind], label=kind) for kind in KINDS if kind in seen]
    if any(profile.padding_ratio > 0 for profile in profiles):
        handles.append(Patch(facecolor="white", edgecolor=INK, hatch="////", label="of which padding"))
    fig.legend(handles=handles, loc="outside lower center", ncol=4, frameon=False, fontsize=8)
    first = profiles[0]
    top = max(first.kinds, key=lambda one: one.share_ratio)
    share = units.percent(top.share_ratio, 0)
    ax.set_title(wrapped(f"{share} of the time of {shortened(first.name)}: {KIND_WORDS[top.kind]}"))
    told = " ".join(
        f"{one.name}, {one.scenario}, {units.three_digits(_step_ms(one))} ms: "
        + ", ".join(f"{kind.kind} {units.percent(kind.share_ratio, 0)}" for kind in one.kinds)
        + (f"; {units.percent(one.padding_ratio, 0)} of the tokens are padding." if one.padding_ratio > 0 else ".")
        for one in profiles
    )
    return labelled(fig, ax, f"Stacked bars of wall time by kind of work. {told}")


def plot_memory(profile: Profile) -> tuple[Figure, Axes]:
    """Draw what the allocator had given out over the active steps, with its highest point marked."""
    if not profile.memory:
        return empty_figure(f"{profile.source} tells nothing of the memory of {profile.name}.")
    times_ms = [1e3 * point.at_sec for point in profile.memory]
    sizes_mb = [point.allocated_bytes / 1e6 for point in profile.memory]
    top = max(range(len(sizes_mb)), key=lambda index: sizes_mb[index])
    fig, ax = plt.subplots()
    ax.fill_between(times_ms, sizes_mb, step="post", color=BASELINE, alpha=0.25, lw=0)
    ax.step(times_ms, sizes_mb, where="post", color=BASELINE, lw=1.2)
    ax.plot(times_ms[top], sizes_mb[top], "o", color=CANDIDATE, ms=6, zorder=3)
    words = units.size(profile.memory[top].allocated_bytes)
    is_late = times_ms[top] > times_ms[-1] / 2
    ax.annotate(
        f"peak {words}",
        (times_ms[top], sizes_mb[top]),
        xytext=(-6 if is_late else 6, 6),
        textcoords="offset points",
        ha="right" if is_late else "left",
        color=CANDIDATE,
    )
    ax.set(xlabel="Time since the first active step [ms]", ylabel="Tensors allocated [MB]")
    ax.set_ylim(0, 1.15 * max(*sizes_mb, 1e-6))
    ax.grid(axis="y")
    ax.set_title(wrapped(f"{shortened(profile.name)} holds at most {words}"))
    return labelled(
        fig,
        ax,
        f"Memory of {profile.name} over {profile.active_step_count} steps, between "
        f"{units.size(1e6 * min(sizes_mb))} and {words}, highest after {units.duration(times_ms[top] / 1e3)}.",
    )


def _bars(names: Sequence[str], shares: Sequence[float], words: Sequence[str], *, xlabel: str) -> tuple[Figure, Axes]:
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, _BAR_INCH * len(names) + 1.1))
    bars = ax.barh(range(len(names)), [100 * share for share in shares], color=BASELINE)
    ax.set_yticks(range(len(names)), [shortened(name, 40) for name in names])
    ax.bar_label(bars, words, padding=4, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel, xlim=(0, 145 * max(*shares, 1e-6)))
    ax.grid(axis="x")
    return fig, ax


def _stack(ax: Axes, place: int, profile: Profile, longest_ms: float) -> None:
    end_ms = 0.0
    for one in profile.kinds:
        wide_ms = 1e3 * one.self_sec / profile.active_step_count
        padded_ms = wide_ms * profile.padding_ratio if one.kind in _PER_TOKEN else 0.0
        ax.barh(place, wide_ms, left=end_ms, color=KIND_COLOURS[one.kind], height=0.62, edgecolor="white", lw=0.5)
        if padded_ms > 0:
            ax.barh(
                place,
                padded_ms,
                left=end_ms + wide_ms - padded_ms,
                height=0.62,
                facecolor="none",
                edgecolor="white" if one.kind in _DARK else INK,
                hatch="////",
                lw=0,
            )
        if wide_ms > _LEAST_LABEL_RATIO * longest_ms:
            ax.text(
                end_ms + wide_ms / 2,
                place,
                f"{100 * one.share_ratio:.0f} %",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if one.kind in _DARK else INK,
                bbox={"facecolor": KIND_COLOURS[one.kind], "edgecolor": "none", "pad": 1},
            )
        end_ms += wide_ms
    ax.annotate(
        f"{units.three_digits(end_ms)} ms",
        (end_ms, place),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def _whose(profile: Profile) -> str:
    """Name a profile and its scenario, which may stand in the name already."""
    has_scenario = profile.name.endswith(profile.scenario)
    return shortened(profile.name if has_scenario else f"{profile.name}, {profile.scenario}", 28)


def _step_ms(profile: Profile) -> float:
    return 1e3 * sum(one.self_sec for one in profile.kinds) / profile.active_step_count


def _share_words(share: float, self_sec: float, profile: Profile) -> str:
    return f"{units.percent(share)}  ({units.duration(self_sec / profile.active_step_count)})"


def _most_words(names: Sequence[str], shares: Sequence[float]) -> str:
    name = shortened(names[0], _TITLE_CHARACTERS)
    return wrapped(f"{name} takes {units.percent(shares[0], 0)} of the time", _TITLE_CHARACTERS)


def _listed(names: Sequence[str], shares: Sequence[float]) -> str:
    return ", ".join(f"{name} {units.percent(share, 0)}" for name, share in zip(names, shares, strict=True))
