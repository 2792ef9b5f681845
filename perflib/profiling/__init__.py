"""
Where the time goes, and where it could go: operators of a model, and the ceilings of the machine under it.

    profile = profile_artifact(baseline, inputs, name="baseline", scenario="offline", folder=run / "traces")
    write_compatible_trace(run / "traces" / profile.trace_files[0], run / "tensorboard")
    ceilings = measure_ceilings()
"""

from perflib.profiling.ceilings import attainable_sec, measure_ceilings
from perflib.profiling.profiler import profile_artifact
from perflib.profiling.tensorboard import write_compatible_trace

__all__ = ["attainable_sec", "measure_ceilings", "profile_artifact", "write_compatible_trace"]
