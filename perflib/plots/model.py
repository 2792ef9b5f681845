"""The model as it is: where its time goes, how long its calls take, what the machine could do."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perflib import units
from perflib.plots.style import BASELINE, CANDIDATE, WIDTH_INCH, labelled
from perflib.results import Baseline, Ceilings


def plot_latency(baseline: Baseline) -> tuple[Figure, Axes]:
    """Draw the cumulative distribution of single-example latency, one line per fresh process."""
    single = next(one for one in baseline.scenarios if one.scenario == "single")
    fig, ax = plt.subplots()
    for index, samples_sec in enumerate(single.samples_sec):
        ordered = np.sort(np.asarray(samples_sec)) * 1e3
        shares = 100 * np.arange(1, ordered.size + 1) / ordered.size
        ax.step(ordered, shares, where="post", color=BASELINE, alpha=0.8, lw=1.4, label=f"process {index + 1}")
    for quantile_sec, word, share in ((single.p50_sec, "median", 50), (single.p95_sec, "95 %", 95)):
        ax.plot(1e3 * quantile_sec, share, "o", color=CANDIDATE, ms=5)
        ax.annotate(
            f"{word}: {units.duration(quantile_sec)}",
            (1e3 * quantile_sec, share),
            xytext=(8, -12),
            textcoords="offset points",
            color=CANDIDATE,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
        )
    largest_ms = 1e3 * max(max(samples) for samples in single.samples_sec)
    ax.set(xlabel="Latency of one call [ms]", ylabel="Calls at most that long [%]", ylim=(0, 104))
    ax.set_xlim(0, min(1.1 * largest_ms, 4e3 * single.p95_sec))
    ax.grid(axis="both")
    ax.set_title(f"Half of single calls take {units.duration(single.p50_sec)} or less")
    return labelled(
        fig,
        ax,
        f"Cumulative distribution of single-call latency in {len(single.samples_sec)} processes: median "
        f"{units.duration(single.p50_sec)}, 95 % within {units.duration(single.p95_sec)}, "
        f"longest {units.duration(largest_ms / 1e3)}.",
    )


def plot_ceiling(ceilings: Ceilings) -> tuple[Figure, Axes]:
    """Draw what the machine can multiply per second, by precision."""
    rates = {
        "fp32": ceilings.fp32_flop_per_sec,
        "bf16": ceilings.bf16_flop_per_sec,
        "int8": ceilings.int8_op_per_sec,
    }
    known = {name: rate for name, rate in rates.items() if rate is not None}
    fig, ax = plt.subplots(figsize=(WIDTH_INCH, 2.3))
    bars = ax.barh(list(known), [rate / 1e9 for rate in known.values()], color=[BASELINE, CANDIDATE, CANDIDATE])
    words = [f"{units.rate(rate, 'OP/s')}, {rate / known['fp32']:.1f}× fp32" for rate in known.values()]
    ax.bar_label(bars, words, padding=4, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="Best matrix product seen [GOP/s]", xlim=(0, 1.4e-9 * max(known.values())))
    ax.grid(axis="x")
    best = max(known, key=lambda name: known[name])
    ax.set_title(f"{best} can multiply {known[best] / known['fp32']:.1f}× as fast as fp32 here")
    return labelled(fig, ax, f"Bars of the best matrix product rate by precision: {'; '.join(words)}.")
