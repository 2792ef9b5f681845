"""
The command line: parse, call, print, exit code. Imports are lazy, so that ``perflib --help`` is quick.

    0 done   1 usage or set-up   2 all quarantined   4 a notebook failed   5 inconclusive   130, 143 interrupted
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from perflib.errors import PerflibError


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors leave with 1, as all of perflib's do."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"perflib: {message}; see `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    args = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        code = command(args)
    except PerflibError as error:
        print(f"perflib: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("perflib: interrupted.", file=sys.stderr)
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="perflib", description="Make a machine-learning model cheaper to run, and prove it.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(command=_no_command)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    run = commands.add_parser("run", help="run a params file: baseline, experiments, report")
    run.add_argument("params", type=Path, metavar="PARAMS", help="such as params/quickstart.yaml")
    run.add_argument("--run-dir", type=Path, metavar="DIR", help="the run's folder; by default a new one in outputs/")
    run.add_argument("--resume", action="store_true", help="redo only what is missing or whose inputs changed")
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these experiments of the file")
    run.set_defaults(command=_run)

    prepare = commands.add_parser("prepare", help="fetch, verify and train what a workload needs, once")
    prepare.add_argument("workload", nargs="?", default="sentiment-minilm", metavar="WORKLOAD")
    prepare.add_argument("--seed", type=int, default=0)
    prepare.set_defaults(command=_prepare)

    report = commands.add_parser("report", help="write the report of a run again, as HTML and perhaps PDF")
    report.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run folder; by default the newest")
    report.add_argument("--pdf", action="store_true", help="also print report.pdf, with Chromium")
    report.set_defaults(command=_report)

    machine = commands.add_parser("machine", help="print the machine card")
    machine.add_argument("--json", action="store_true", help="as strict JSON")
    machine.set_defaults(command=_machine)
    return parser


def _no_command(args: argparse.Namespace) -> int:
    if args.version:
        import importlib.metadata

        print(f"perflib {importlib.metadata.version('perflib')}")
        return 0
    _parser().print_help()
    return 1


def _run(args: argparse.Namespace) -> int:
    from perflib import units
    from perflib.pipeline import run_params

    outcome = run_params(args.params, run_dir=args.run_dir, resume=args.resume, only=args.only)
    for one in outcome.candidates:
        offline = one.offline_throughput_speedup_ratio
        speed = units.speedup(offline.estimate, offline.low, offline.high) if offline else units.UNKNOWN
        change = units.points(one.accuracy_change.estimate) if one.accuracy_change else units.UNKNOWN
        print(f"{one.name}: {one.verdict} · {speed} offline · accuracy {change} · {' '.join(one.reasons)}")
    print(f"run folder: {outcome.run.folder}")
    if outcome.run.report.is_file():
        print(f"report: {outcome.run.report}")
    return outcome.summary.exit_code or 0


def _prepare(args: argparse.Namespace) -> int:
    from perflib.workloads import get_workload

    artifact = get_workload(args.workload, seed=args.seed).prepare()
    print(f"{args.workload} is ready: baseline artifact {artifact.digest[:12]} in {artifact.folder}")
    return 0


def _report(args: argparse.Namespace) -> int:
    from perflib.pipeline.again import report_again

    for path in report_again(args.run, with_pdf=args.pdf):
        print(f"report: {path}")
    return 0


def _machine(args: argparse.Namespace) -> int:
    from perflib.machine import describe, read_card

    card = read_card()
    print(
        json.dumps(card.to_dict(), indent=1)
        if args.json
        else f"{describe(card)}\nhardware class: {card.hardware_class}"
    )
    return 0


if __name__ == "__main__":
    main()
