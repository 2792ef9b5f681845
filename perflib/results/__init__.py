"""
The shapes of everything a run says: frozen, plain, in base units, unknown as None.

The parts fill them, the figures, the report and the governance rooms read them; none of those needs the part itself.
"""

from perflib.results.answers import Gate, GateVerdict, SliceResult, Validation
from perflib.results.model import (
    Baseline,
    Build,
    Ceilings,
    OperatorTime,
    Prediction,
    Profile,
    ScenarioMeasurement,
)
from perflib.results.runs import Candidate, CandidateVerdict, Estimate, Failure, LowerBound, RunSummary, Step
from perflib.results.speed import (
    ArmEnvironment,
    ArmTiming,
    Comparison,
    EvidencePath,
    Interval,
    Life,
    LifeProcesses,
    MetricComparison,
    NoiseFloor,
    Percentile,
    Process,
    Readings,
    ScenarioComparison,
    SpeedVerdict,
    StopReason,
    Unit,
    VisibleEffect,
)
from perflib.results.study import Calibration, CalibrationCell, NoiseStudy, RuleScore

__all__ = [
    "ArmEnvironment",
    "ArmTiming",
    "Baseline",
    "Build",
    "Calibration",
    "CalibrationCell",
    "Candidate",
    "CandidateVerdict",
    "Ceilings",
    "Comparison",
    "Estimate",
    "EvidencePath",
    "Failure",
    "Gate",
    "GateVerdict",
    "Interval",
    "Life",
    "LifeProcesses",
    "LowerBound",
    "MetricComparison",
    "NoiseFloor",
    "NoiseStudy",
    "OperatorTime",
    "Percentile",
    "Prediction",
    "Process",
    "Profile",
    "Readings",
    "RuleScore",
    "RunSummary",
    "ScenarioComparison",
    "ScenarioMeasurement",
    "SliceResult",
    "SpeedVerdict",
    "Step",
    "StopReason",
    "Unit",
    "Validation",
    "VisibleEffect",
]
