"""`reed-cloud ca`: the authority, its ceremonies, its revocation lists."""

import argparse
import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.cli.access import actor, add_options, opened, show_json
from cloud.cli.init import read_passphrase
from cloud.cli.table import table, when
from cloud.errors import ServiceError, SetupError
from cloud.home import Home

if TYPE_CHECKING:
    from cloud.registry.ceremonies import Outcome

_LEAST_HEX = 8


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "ca", help="the authority: show it, hold a ceremony", description="The authority behind certificates."
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    shown = verbs.add_parser("show", help="roots, intermediates, services, lists", description="Show it.")
    add_options(shown)
    _add_root(verbs)
    _add_intermediate(verbs)
    crl = verbs.add_parser(
        "crl",
        help="publish the revocation lists now",
        description="Make new revocation lists; broker and nginx follow them. `run` does it every hour.",
    )
    add_options(crl)


def _add_root(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    root = verbs.add_parser(
        "root",
        help="make another root, or drop one",
        description="Make another root beside the present one; gateways learn it when they renew. Once all "
        "have, make an intermediate with it, and drop the old one when nothing is valid under it any more.",
    )
    root.add_argument("--drop", type=_hex, metavar="ID", help="trust this root no more; `ca show` has its id")
    _add_passphrase(root, "the passphrase for the new root's key (default: one is made and shown once)")
    add_options(root)


def _add_intermediate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    intermediate = verbs.add_parser(
        "intermediate",
        help="make the intermediate that issues from now on, or give one up",
        description="Make a new intermediate with the root's key. The former one issues no more; what it "
        "issued stays valid.",
    )
    intermediate.add_argument(
        "--root-folder", type=Path, metavar="FOLDER", help="where the root's key is (default: in the home)"
    )
    intermediate.add_argument(
        "--give-up", type=_hex, metavar="SERIAL", help="instead: this one's key is lost or stolen"
    )
    intermediate.add_argument(
        "--at-once", action="store_true", help="even if gateways have had no time to learn a new root"
    )
    _add_passphrase(intermediate, "the passphrase of the root's key (default: it is asked for)")
    add_options(intermediate)


def _add_passphrase(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--root-passphrase-file", type=Path, metavar="FILE", help=f'{text}; "-" is stdin')


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    with opened(args) as (home, _):
        match args.verb:
            case "show":
                return _show(args, home)
            case "crl":
                return _crl(args)
            case "root":
                return _root(args, home)
            case _:
                return _intermediate(args, home)


def _show(args: argparse.Namespace, home: Home) -> int:
    from cloud.registry.services import warnings  # noqa: PLC0415  # can be imported only now
    from cloud.run.inventory import certificates  # noqa: PLC0415  # can be imported only now
    from cloud.web.summary import read_crls  # noqa: PLC0415

    held, lists = certificates(home), read_crls(home)
    if args.json:
        crl = {"since": lists.since.isoformat(), "until": lists.until.isoformat(), "entries": lists.entries}
        shown: dict[str, object] = {"certificates": [each.plain() for each in held], "crl": crl}
        show_json({**shown, "warnings": list(warnings())})
        return 0
    rows = [
        [each.kind, each.name, each.key_id or "-", each.serial, when(each.until), each.note] for each in held
    ]
    print(table(["KIND", "NAME", "ID", "SERIAL", "UNTIL", ""], rows))
    until = when(lists.until)
    print(f"\nrevocation lists: made {when(lists.since)}, hold until {until}, entries: {lists.entries}")
    if home.offline.exists():
        print(f"{home.offline} is still here: carry the root's key away")
    for warning in warnings():
        print(f"warning: {warning}")
    return 0


def _crl(args: argparse.Namespace) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    report = services.publish_crl()
    if args.json:
        show_json(
            {
                "number": report.number,
                "entries": report.entries,
                "size_bytes": report.size_bytes,
                "until": report.next_update.isoformat(),
                "warning": report.warning or None,
            }
        )
    else:
        until = when(report.next_update)
        print(f"published number {report.number}, entries: {report.entries}, holds until {until}")
        if report.warning:
            print(f"warning: {report.warning}")
    return 0


def _root(args: argparse.Namespace, home: Home) -> int:
    from cloud.ca.passphrase import new_passphrase  # noqa: PLC0415  # heavy
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now
    from cloud.run.founding import TO_CARRY_AWAY  # noqa: PLC0415

    if args.drop:
        return _finish(args, home, lambda: services.drop_root(args.drop, actor=actor()), "is trusted no more")
    given = read_passphrase(args.root_passphrase_file) if args.root_passphrase_file else ""
    passphrase = given or new_passphrase()
    outcome = services.create_root(passphrase, actor=actor())
    (home.offline / "READ-ME.txt").write_text(TO_CARRY_AWAY, encoding="utf-8")
    if not given and not args.json:
        print(f"Passphrase of its key, shown now and never again:\n\n    {passphrase}\n")
    if not args.json:
        print(f"Carry {home.offline} away: it holds the root's key. READ-ME.txt in it says how.")
    extra = {} if given else {"root_passphrase": passphrase}
    return _finish(args, home, lambda: outcome, "is trusted beside the others", extra)


def _intermediate(args: argparse.Namespace, home: Home) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    folder: Path = args.root_folder or home.offline
    if not folder.is_dir():
        raise SetupError(f"{folder}: no such folder; bring the root's key and name it with --root-folder")
    passphrase = _ask_passphrase(args)
    if args.give_up:
        serial = int(args.give_up, 16)
        return _finish(
            args,
            home,
            lambda: services.give_up_intermediate(passphrase, serial, actor=actor(), offline=folder),
            "is trusted no more; its gateways prove their keys and come back by themselves",
        )
    return _finish(
        args,
        home,
        lambda: services.create_intermediate(passphrase, actor=actor(), offline=folder, at_once=args.at_once),
        "issues from now on",
    )


def _finish(
    args: argparse.Namespace,
    home: Home,
    hold: Callable[[], "Outcome"],
    then: str,
    extra: dict[str, str] | None = None,
) -> int:
    """Hold a ceremony, tell the running cloud, and say what came out. Raises ServiceError."""
    from cloud.run.nudge import nudge  # noqa: PLC0415  # can be imported only now

    outcome = hold()
    is_told = nudge(home)
    name = outcome.certificate.subject.rfc4514_string()
    serial = f"{outcome.certificate.serial_number:x}"
    if args.json:
        show_json({"name": name, "serial": serial, "problem": outcome.problem or None, **(extra or {})})
    else:
        print(f"{name} (serial {serial}) {then}")
    if outcome.problem and not is_told:
        raise ServiceError(f"{outcome.problem}; `reed-cloud run` tries it again when it starts")
    return 0


def _ask_passphrase(args: argparse.Namespace) -> str:
    if args.root_passphrase_file:
        return read_passphrase(args.root_passphrase_file)
    if not sys.stdin.isatty():
        raise SetupError("nobody is there to ask for the root's passphrase; give --root-passphrase-file")
    return getpass("Passphrase of the root's key: ")


def _hex(text: str) -> str:
    clean = text.replace(":", "").lower()
    is_hex = clean.isascii() and all(letter in "0123456789abcdef" for letter in clean)
    if not is_hex or not _LEAST_HEX <= len(clean) <= 64:  # noqa: PLR2004  # a key identifier has 40
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no id or serial; `reed-cloud ca show` has them")
    return clean
