"""
Every figure: results in, ``(figure, axes)`` out.

The title is the finding, computed; the baseline is always the same grey and a candidate the same blue; axes carry
their unit and start at zero where a length is compared.
The figure's label (``fig.get_label()``) is its text alternative: it says in words what the picture shows.
"""

from perflib.plots.answers import plot_confidence_flips, plot_flips_by_slice, plot_reliability, plot_slices
from perflib.plots.backlog import plot_returns, plot_tornado
from perflib.plots.breakeven import plot_breakeven
from perflib.plots.findings import plot_findings
from perflib.plots.finops import plot_unit_costs
from perflib.plots.front import plot_candidates, plot_front
from perflib.plots.gates import plot_gate_board
from perflib.plots.history import plot_series
from perflib.plots.ladder import plot_ladder, plot_waterfall
from perflib.plots.model import plot_ceiling, plot_latency
from perflib.plots.profile import plot_kinds, plot_memory, plot_modules, plot_operators
from perflib.plots.rehearsal import plot_rehearsal
from perflib.plots.roofline import plot_roofline
from perflib.plots.sensitivity import plot_sensitivity
from perflib.plots.speed import plot_evidence, plot_latencies, plot_lives
from perflib.plots.study import plot_calibration, plot_rules
from perflib.plots.style import BASELINE, CANDIDATE, WARNING, WIDTH_INCH, use_house_style
from perflib.plots.summary import plot_summary
from perflib.plots.techniques import plot_techniques
from perflib.plots.timeline import plot_timeline
from perflib.plots.watch import plot_confirmation, plot_watch

__all__ = [
    "BASELINE",
    "CANDIDATE",
    "WARNING",
    "WIDTH_INCH",
    "plot_breakeven",
    "plot_calibration",
    "plot_candidates",
    "plot_ceiling",
    "plot_confidence_flips",
    "plot_confirmation",
    "plot_evidence",
    "plot_findings",
    "plot_flips_by_slice",
    "plot_front",
    "plot_gate_board",
    "plot_kinds",
    "plot_ladder",
    "plot_latencies",
    "plot_latency",
    "plot_lives",
    "plot_memory",
    "plot_modules",
    "plot_operators",
    "plot_rehearsal",
    "plot_reliability",
    "plot_returns",
    "plot_roofline",
    "plot_rules",
    "plot_sensitivity",
    "plot_series",
    "plot_slices",
    "plot_summary",
    "plot_techniques",
    "plot_timeline",
    "plot_tornado",
    "plot_unit_costs",
    "plot_watch",
    "plot_waterfall",
    "use_house_style",
]
