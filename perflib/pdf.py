"""The report as PDF, printed by a Chromium that the machine already has."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from perflib.errors import SetupError
from perflib.records import write_bytes

_CHROMIUM = (
    "chromium", "chromium-browser", "chromium-headless-shell", "chrome-headless-shell",
    "google-chrome", "google-chrome-stable", "chrome",
)  # fmt: skip


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome on ``PATH``, or None."""
    return next((found for name in _CHROMIUM if (found := shutil.which(name))), None)


def print_pdf(html: Path, pdf: Path, *, chromium: str | None = None, timeout_sec: float = 120) -> Path:
    """
    Print a page to PDF with a headless Chromium.

    Args:
        html: The page.
        pdf: Where the PDF goes.
        chromium: The browser's path; looked for if not given.
        timeout_sec: How long the browser may take.

    Returns:
        Path: ``pdf``.

    Raises:
        SetupError: If there is no Chromium, or it does not print.
        DataError: If ``pdf`` cannot be written.
    """
    browser = chromium or find_chromium()
    if browser is None:
        raise SetupError("no Chromium is on PATH to print the PDF; install Chromium or leave the PDF out.")
    said = ""
    with tempfile.TemporaryDirectory(prefix="perflib-pdf-") as folder:
        printed = Path(folder) / "page.pdf"
        command = [
            browser, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-pdf-header-footer", f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}",
        ]  # fmt: skip
        # Chromium refuses to start as root or in most containers with its sandbox; our page holds no script.
        for extra in ([], ["--no-sandbox"]):
            try:
                reply = subprocess.run(
                    [*command, *extra, html.resolve().as_uri()], capture_output=True, timeout=timeout_sec, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise SetupError(
                    f"{browser} did not print {html.name} in {timeout_sec:g} s; free the machine and try again."
                ) from error
            except OSError as error:
                raise SetupError(f"{browser} cannot be started ({error.strerror}); install Chromium.") from error
            if printed.is_file() and (content := printed.read_bytes()).startswith(b"%PDF"):
                write_bytes(pdf, content)
                return pdf
            said = reply.stderr.decode(errors="replace").strip()[-200:]
            if "sandbox" not in reply.stderr.decode(errors="replace"):
                break
    raise SetupError(f"{browser} printed no PDF of {html.name} (it said: {said or 'nothing'}); try another Chromium.")
