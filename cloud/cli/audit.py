"""`reed-cloud audit`: who was let in, who was refused, by whom and why."""

import argparse
from typing import TYPE_CHECKING

from cloud.cli.access import add_options, opened, show_json
from cloud.cli.table import table, when
from cloud.errors import SetupError

if TYPE_CHECKING:
    from cloud.registry.models import AuditEntry

_MOST = 100_000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "audit",
        help="show or verify the audit trail",
        description="Show the last entries of the audit trail, the newest at the end.",
    )
    parser.add_argument("--gateway", metavar="GATEWAY", help="only what is about this one")
    parser.add_argument("--limit", type=_limit, default=50, metavar="N", help="the last N (default: 50)")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check the whole chain of hashes instead; exit status 1 if anything was changed or removed",
    )
    parser.add_argument(
        "--head",
        default="",
        metavar="HASH",
        help="with --verify: the head that an earlier one printed; shows whether the end was cut off since",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the entries, or the verdict."""
    if args.head and not args.verify:
        raise SetupError("--head needs --verify")
    with opened(args):
        if args.verify:
            return _verify(args.head, as_json=args.json)
        from cloud.registry import services  # noqa: PLC0415  # can be imported only now

        entries = services.audit_entries(subject=args.gateway, limit=args.limit)
    entries = sorted(entries, key=lambda entry: entry.seq)
    if args.json:
        show_json([_plain(entry) for entry in entries])
    else:
        rows = [_row(entry) for entry in entries]
        print(table(["SEQ", "AT", "ACTOR", "ACTION", "SUBJECT", "OUTCOME", "REASON", "PEER"], rows))
    return 0


def _verify(kept: str, *, as_json: bool) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    verdict = services.verify_audit(kept.strip().lower())
    if as_json:
        show_json({"entries": verdict.entries, "head": verdict.head, "problem": verdict.problem or None})
    elif verdict.problem:
        print(f"the audit trail was tampered with or is damaged: {verdict.problem}")
    else:
        print(f"{verdict.entries} entries, none changed, none missing; head {verdict.head}")
    return 1 if verdict.problem else 0


def _limit(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not allowed; give a number from 1 to {_MOST}")
    return number


def _row(entry: "AuditEntry") -> list[str]:
    return [
        str(entry.seq),
        when(entry.at),
        entry.actor,
        entry.action,
        entry.subject,
        entry.outcome,
        entry.reason or "-",
        entry.peer or "-",
    ]


def _plain(entry: "AuditEntry") -> dict[str, object]:
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "peer": entry.peer,
        "detail": entry.detail,
        "hash": entry.hash,
    }
