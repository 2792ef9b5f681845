"""A kernel whose own complaints go to a log beside its notebook, not between the lines of a run."""

from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode


class LoggedKernelManager(AsyncKernelManager):  # type: ignore[misc]  # the package is skipped by mypy, see pyproject
    """
    Start kernels with their standard error in a file.

    What a kernel prints there itself (a crash, a library's C code) is not in the notebook; `log_path` keeps it.
    """

    log_path = Unicode("", help="Where the kernel's standard error goes.").tag(config=True)

    async def _async_pre_start_kernel(self, **kw: Any) -> tuple[list[str], dict[str, Any]]:
        command, settings = await super()._async_pre_start_kernel(**kw)
        if self.log_path:
            # The kernel keeps its own copy of the handle; ours goes with the manager.
            settings["stderr"] = Path(self.log_path).open("ab")  # noqa: SIM115
        return command, settings
