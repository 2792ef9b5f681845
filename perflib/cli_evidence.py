"""The commands of governance: backlog, promote, rehearse and the evidence pack; thin too."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_evidence_commands(commands: Any) -> None:
    """Add the commands of governance to those of `perflib`."""
    backlog = commands.add_parser("backlog", help="what to do next and what it gives, from today's prices")
    backlog.add_argument("run", nargs="?", metavar="RUN", help="a run folder or its name; by default the newest")
    backlog.add_argument("--json", action="store_true", help="print the record as strict JSON")
    backlog.set_defaults(command=_backlog)

    promote = commands.add_parser("promote", help="say which candidate is the good one from now on")
    promote.add_argument("candidate", metavar="RUN:NAME")
    promote.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever asks later")
    promote.set_defaults(command=_promote)

    rehearse = commands.add_parser("rehearse", help="try the way to users, and back, with two real servers")
    rehearse.add_argument("candidate", metavar="RUN:NAME")
    rehearse.add_argument("--budget-sec", type=float, default=60.0, metavar="N", help="for all traffic; by default 60")
    rehearse.add_argument("--seed", type=int, default=0, metavar="N", help="of the coin that splits the traffic")
    rehearse.set_defaults(command=_rehearse)

    _add_evidence(commands)


def _add_evidence(commands: Any) -> None:
    evidence = commands.add_parser("evidence", help="build, sign and verify the pack that proves a run")
    actions = evidence.add_subparsers(title="actions", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="write evidence/ of a run again")
    build.add_argument("run", nargs="?", metavar="RUN", help="a run folder or its name; by default the newest")
    build.add_argument("--force", action="store_true", help="even where the pack is signed: signatures are lost")
    build.set_defaults(command=_build)

    key = actions.add_parser("key", help="make a private key to sign with, outside of every run")
    key.add_argument("file", type=Path, metavar="FILE")
    key.set_defaults(command=_key)

    sign = actions.add_parser("sign", help="sign a pack; it takes its author and another person")
    sign.add_argument("folder", type=Path, metavar="DIR")
    sign.add_argument("--role", required=True, choices=("author", "reviewer"))
    sign.add_argument("--key", required=True, type=Path, metavar="FILE", help="your private key")
    sign.set_defaults(command=_sign)

    verify = actions.add_parser("verify", help="check a pack offline; exit codes are in its VERIFY.md")
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="FILE", help="a public key that you trust; repeat it"
    )
    verify.add_argument("--threshold", type=int, default=2, metavar="N", help="how many of them must have signed")
    verify.add_argument("--integrity-only", action="store_true", help="do not ask for signatures")
    verify.add_argument("--trust-on-first-use", action="store_true", help="believe the keys that the pack brings along")
    verify.add_argument("--json", action="store_true", help="print the verdict as strict JSON")
    verify.set_defaults(command=_verify)


def _backlog(args: argparse.Namespace) -> int:
    from perflib.governing.commands import weigh
    from perflib.records import dumps
    from perflib.sentences import backlog_lines

    weighed = weigh(args.run)
    print(dumps(weighed.backlog.to_dict(), indent=1) if args.json else "\n".join(backlog_lines(weighed.backlog)))
    for note in weighed.notes:
        print(note, file=sys.stderr)
    print(f"write report and pack again with: perflib report {weighed.run.folder}", file=sys.stderr)
    return 0


def _promote(args: argparse.Namespace) -> int:
    from perflib.governing.promoting import promote_named

    made = promote_named(args.candidate, reason=args.reason)
    cited = f", on evidence {made.manifest_sha256[:12]}" if made.manifest_sha256 else ""
    print(f"{made.candidate} of {made.run_id} is the good one of {made.workload} from now on{cited}")
    return 0


def _rehearse(args: argparse.Namespace) -> int:
    from perflib.governing.commands import rehearse_named
    from perflib.pipeline.signals import raising_signals

    with raising_signals("ended the rehearsal; its servers are gone, and nothing was recorded"):
        run, rehearsal = rehearse_named(args.candidate, budget_sec=args.budget_sec, seed=args.seed)
    for fault in rehearsal.faults:
        print(fault.sentence)
    print(rehearsal.sentence)
    print(f"record: {run.record_path('rehearsal', rehearsal.candidate)}", file=sys.stderr)
    return 0 if rehearsal.is_passed else 5


def _build(args: argparse.Namespace) -> int:
    from perflib.governing.commands import build_named

    manifest, folder = build_named(args.run, is_forced=args.force)
    print(f"{len(manifest.files)} files in {folder}; sign it with `perflib evidence sign {folder} --role author`")
    return 0


def _key(args: argparse.Namespace) -> int:
    from perflib.governance.evidence.keys import make_key

    print(f"{args.file}: keep it to yourself; {args.file}.pub has the fingerprint {make_key(args.file)}")
    return 0


def _sign(args: argparse.Namespace) -> int:
    from perflib.governing.commands import sign_named

    fingerprint = sign_named(args.folder, key=args.key, role=args.role)
    print(f"signed as {args.role} with the key {fingerprint}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from perflib.governance.evidence.verify import verdict_lines
    from perflib.governing.commands import verify_named
    from perflib.records import dumps

    check = verify_named(
        args.folder,
        trusted=args.trust,
        threshold=args.threshold,
        is_integrity_only=args.integrity_only,
        trust_on_first_use=args.trust_on_first_use,
    )
    print(dumps(check.to_dict(), indent=1) if args.json else "\n".join(verdict_lines(check)))
    return check.exit_code
