"""What `reed-gateway enrol` does: by hand, or from a file that is destroyed afterwards."""

import argparse
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.cli.access import connect, show_json
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.config_file import replace
from gateway.cli.wall_time import doubt, wall_clock
from gateway.config.model import Config, GatewayConfig
from gateway.config.read import MAX_BYTES, read
from gateway.control.client import NOT_REACHED
from gateway.errors import ConfigError, ControlError, EnrolmentError, GatewayError, StoreError
from gateway.identity import provisioning, token
from gateway.identity.config import Config as IdentityConfig
from gateway.identity.enrol import enrol
from gateway.identity.order import Order
from gateway.identity.provisioning import Provision
from gateway.identity.slots import Slots

Say = Callable[[str, str], None]

SERVICE = "reed-gateway"
_RESTART_S = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where this gateway keeps its things; `config` is None where nothing is configured yet."""

    gateway: GatewayConfig
    identity: IdentityConfig
    store: Path
    config: Config | None


def by_hand(args: argparse.Namespace, text: str) -> int:
    """Enrol with the token that was given. Raises GatewayError."""
    _enrol(args, Provision(url=args.url, token=text, ca_file=args.ca_file, again=args.again))
    return 0


def from_file(args: argparse.Namespace) -> int:
    """Enrol as a file says and destroy it; if that fails, say why beside it. No file is no failure at boot.

    Raises:
        GatewayError: Why not; the file stays.
    """
    path: Path | None = args.file or provisioning.find()
    if path is None or (args.provisioning and not provisioning.is_there(path)):
        return 0
    try:
        wanted = provisioning.read(path)
        if wanted.config_file is not None and not _was_moved(args, wanted, wanted.config_file):
            _configure(args, wanted.config_file)
        if args.provisioning and not wanted.again and _is_enrolled(args, wanted):
            _sayer(args)("done", f"enrolled already; {path} is removed unused")
        else:
            _enrol(args, wanted)
    except GatewayError as error:
        provisioning.complain(path, str(error))
        raise
    for used in (wanted.config_file, path):
        if used is not None:
            provisioning.shred(used)
    return 0


def _enrol(args: argparse.Namespace, wanted: Provision) -> None:
    who = token.parse(wanted.token)
    place = _place(args.config, who.gateway_id)
    if place.gateway.id != who.gateway_id:
        problem = f"the token is for {who.gateway_id}, and {args.config} says gateway.id = {place.gateway.id}"
        raise EnrolmentError(f"{problem}; correct one of them")
    clock = wall_clock([])
    wrong = doubt(clock, args, place.store)
    order = Order(
        url=wanted.url,
        token=who,
        ca_file=wanted.ca_file,
        again=wanted.again or args.again,
        now_unix_s=None if wrong else clock.now_unix_s(),
    )
    say = _sayer(args)
    _make_folder(place.gateway.state_dir)
    done = enrol(order, Slots(place.gateway.identity_dir), place.identity, say)
    say("daemon", _nudge(args, place))
    if args.json:
        show_json({"step": "done", **asdict(done)})
    else:
        verb = "enrolled" if done.is_new else "enrolled already with this token"
        print(f"{done.gateway}: {verb}, certificate until {done.until}, broker {done.host}:{done.port}")


def _place(path: Path, gateway_id: str) -> Place:
    """Return what is configured; before there is any configuration, the usual places. Raises ConfigError."""
    if provisioning.is_there(path) or path != DEFAULT_PATH:
        config = read(path)
        return Place(config.gateway, config.identity, config.store.path, config)
    usual = GatewayConfig(id=gateway_id)
    return Place(usual, IdentityConfig(), usual.state_dir / "reed.sqlite", None)


def _is_enrolled(args: argparse.Namespace, wanted: Provision) -> bool:
    gateway = _place(args.config, token.parse(wanted.token).gateway_id).gateway
    return Slots(gateway.identity_dir).current() is not None


def _was_moved(args: argparse.Namespace, wanted: Provision, source: Path) -> bool:
    """Return True if an earlier run has come this far, and was cut off while it cleared up."""
    return not provisioning.is_there(source) and _is_enrolled(args, wanted)


def _configure(args: argparse.Namespace, source: Path) -> None:
    """Make a file the configuration, unless it is already. Raises ConfigError, StoreError."""
    try:
        if not source.is_file() and source.exists():
            raise ConfigError((str(source), "is no file"))
        if source.stat().st_size > MAX_BYTES:
            raise ConfigError((str(source), f"is larger than {MAX_BYTES} bytes; is it the right file?"))
        new = source.read_bytes()
        path = args.config.resolve()
        if path == source.resolve():  # which is destroyed at the end
            raise ConfigError((str(source), "is the gateway's configuration itself; leave config_file out"))
        old = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise ConfigError((error.filename or str(source), f"cannot be read: {error.strerror}")) from None
    if new != old:
        replace(path, old, new)
        _sayer(args)("config", f"{path} is what {source} said; {_restarted(args)}")


def _restarted(args: argparse.Namespace) -> str:
    """Let the gateway use its new configuration where nobody is there to do it; return what came of that."""
    by_hand = f"restart the gateway to use it: systemctl restart {SERVICE}"
    if not args.provisioning:
        return by_hand
    command = ["systemctl", "--no-block", "restart", SERVICE]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_RESTART_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return by_hand
    return by_hand if done.returncode else "the gateway is restarted"


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}; use sudo") from None


def _nudge(args: argparse.Namespace, place: Place) -> str:
    """Let the running gateway connect with its new identity; return what came of that."""
    if place.config is None:
        return f"not configured yet: write {args.config}, then start the gateway"
    if place.config.link is None:
        return f"{args.config} has no [link], so the gateway stays without a cloud; add the line [link]"
    try:
        with connect(args) as client:
            client.call("UseIdentity")
    except ControlError as error:
        if error.name == NOT_REACHED:
            return "the gateway does not run now; it connects when it starts"
        return f"the gateway was not told: {error}"
    return "the gateway connects now"


def _sayer(args: argparse.Namespace) -> Say:
    def say(step: str, text: str) -> None:
        if args.json:
            show_json({"step": step, "text": text})
        else:
            print(f"{step:<12} {text}", flush=True)

    return say
