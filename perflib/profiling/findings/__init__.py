"""
What a good engineer concludes in the first hour with a model: ranked, priced hypotheses, each with its experiment.

    found = find_all(profiles, rooflines, card, ceilings, artifact.spec,
                     circumstances=Circumstances(lengths=lengths))
    found.findings[0].claim

Every rule looks at one profile and is silent where it does not apply. Findings are hypotheses, each priced as if it
were the only change: their savings overlap and must not be added up. Where every experiment changes several things at
once, such as number format and engine, the price holds all of them.
"""

from perflib.profiling.findings.amdahl import amdahl, combined_speedup
from perflib.profiling.findings.case import MIN_SAVING_RATIO, Circumstances
from perflib.profiling.findings.search import RULES, find_all

__all__ = ["MIN_SAVING_RATIO", "RULES", "Circumstances", "amdahl", "combined_speedup", "find_all"]
