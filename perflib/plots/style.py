"""The house style: colours, defaults, and what several figures need."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflib.results import SpeedVerdict

# From the colour-blind-safe palette of Okabe and Ito, and two greys.
BASELINE = "#7a7a7a"
CANDIDATE = "#0072B2"
WARNING = "#D55E00"
HARMLESS = "#009E73"
UNDECIDED = "#d4d4d4"
INK = "#333333"
WIDTH_INCH = 6.4
_TITLE_CHARACTERS = 60


def use_house_style() -> None:
    """Set matplotlib's defaults: no top or right spine, a light grid behind the data, one width."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.85)
    mpl.rcParams |= {
        "figure.figsize": (WIDTH_INCH, 3.4),
        "figure.dpi": 130,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 160,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.axisbelow": True,
        "grid.color": "#e6e6e6",
        "svg.hashsalt": "perflib",
    }


def labelled(fig: Figure, axes: Any, text: str) -> tuple[Figure, Any]:
    """Give a figure its text alternative."""
    fig.set_label(text)
    return fig, axes


def empty_figure(sentence: str) -> tuple[Figure, Axes]:
    """Draw one sentence where there is nothing else to draw."""
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 1.2))
    ax.axis("off")
    ax.text(0, 0.5, wrapped(sentence), va="center")
    return labelled(fig, ax, sentence)


def wrapped(title: str, characters_count: int = _TITLE_CHARACTERS) -> str:
    """
    Break a title where the figure ends, but not inside a number; a candidate's name may be long.

    Example:
        >>> wrapped("one two three", 8).splitlines()
        ['one two', 'three']
    """
    bound = re.sub(r"(?<=[\d×]) (?=[%\[])|(?<=\d,) (?=[\d.]+\])", "\N{NO-BREAK SPACE}", title)
    return textwrap.fill(bound, characters_count).replace("\N{NO-BREAK SPACE}", " ")


def shortened(name: str, characters_count: int = 50) -> str:
    """
    Cut a name that has no room; the text alternative has all of it.

    Example:
        >>> shortened("int8"), shortened("int8-weights-only", 8)
        ('int8', 'int8-we…')
    """
    return name if len(name) <= characters_count else f"{name[: characters_count - 1]}…"


def verdict_words(verdict: SpeedVerdict, *, mde_ratio: float) -> str:
    """
    Say a verdict in words.

    Example:
        >>> verdict_words("PASS", mde_ratio=0.03)
        'no regression as large as 3 %'
    """
    return {
        "IMPROVEMENT": "faster",
        "REGRESSION": "slower",
        "PASS": f"no regression as large as {100 * mde_ratio:g} %",
        "INCONCLUSIVE": "not decided",
    }[verdict]


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """
    Write the names of lines beside the right edge, moved apart where they would overlap.

    Args:
        ax: With its final y limits.
        ends: For each line where it ends (y), its text and its colour.
    """
    low, high = ax.get_ylim()
    fig = ax.get_figure(root=True)
    assert fig is not None
    gap = 0.16 / (ax.get_position().height * fig.get_figheight())
    ranked = sorted(((y - low) / (high - low), text, colour) for y, text, colour in ends)
    true_places = [min(max(place, 0.0), 1.0) for place, _, _ in ranked]
    for true, place, (_, text, colour) in zip(true_places, spread(true_places, gap), ranked, strict=True):
        ax.annotate(
            text,
            (1.0, true),
            xytext=(1.025, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=8,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """
    Move ascending places at least ``gap`` apart, as little as possible beyond 1.

    Example:
        >>> [round(place, 2) for place in spread([0.5, 0.5, 1.0, 1.0], 0.1)]
        [0.5, 0.6, 0.9, 1.0]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    highest = max(1.0, moved[0] if moved else 0.0)
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], highest)
        highest = moved[index] - gap
    return moved
