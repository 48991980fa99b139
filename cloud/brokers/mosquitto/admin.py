"""mosquitto 2.0 as `BrokerAdmin`.

Never `disableClient`: with `use_identity_as_username` a disabled client is kicked, comes back with its
certificate and may do everything (2.0.11 and 2.0.21; eclipse-mosquitto #2999). A deleted one may do nothing.
"""

import time
from collections.abc import Collection, Iterable, Sequence

from cloud.brokers.files import replace
from cloud.brokers.interface import Stats
from cloud.brokers.mosquitto import process, rights
from cloud.brokers.mosquitto.control import Control
from cloud.brokers.mosquitto.rights import Entry
from cloud.brokers.names import RESERVED, checked
from cloud.brokers.probe import is_open
from cloud.brokers.revocation import Revocation, installed_file
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home

_EXISTS = ("Client already exists", "Role already exists")
_ABSENT = ("Client not found", "Role not found")
_BATCH_S = 0.25
"""How long one batch may keep mosquitto busy: it serves nobody meanwhile, and saves all for each command."""
_LARGEST_BATCH = 100


class MosquittoAdmin:
    """The mosquitto of this home. A connection lasts as long as a call; so there is nothing to close."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._settings = settings
        self._home = home
        self._revocation = Revocation(
            home,
            place=lambda pem: replace(installed_file(home), pem),
            reload=self._reload,
            addresses=[(settings.bind or "localhost", settings.port), ("127.0.0.1", settings.admin_port)],
            timeout_s=settings.timeout_s,
        )

    def grant(self, gateway_id: str) -> None:
        """As `BrokerAdmin.grant`; repairs rights that are not as they should be."""
        self.grant_all([gateway_id])

    def grant_all(self, gateway_ids: Iterable[str]) -> None:
        """As `BrokerAdmin.grant_all`, in batches that leave mosquitto time for its clients.

        Each takes longer, the more there are: 10,000 take minutes. Before a start, `config.write_access`
        does the same at once.
        """
        ids = sorted({checked(each) for each in gateway_ids})
        with Control(self._settings, self._home) as control:
            size = 1
            while ids:
                batch, ids = ids[:size], ids[size:]
                began_s = time.monotonic()
                self._grant_batch(control, batch)
                took_s = time.monotonic() - began_s
                size = _next_size(size, took_s)
                if ids:
                    time.sleep(min(took_s, _BATCH_S))

    def _grant_batch(self, control: Control, ids: Sequence[str]) -> None:
        commands: list[Entry] = []
        for each in ids:
            commands.append({"command": "createRole", **rights.gateway_role(each)})
            commands.append({"command": "createClient", **rights.client(each)})
        answers = _succeeded(control.ask(commands), besides=_EXISTS)
        for each, made in zip(ids, zip(answers[::2], answers[1::2], strict=True), strict=True):
            if any("error" in answer for answer in made):
                _repair(control, each)

    def deny(self, gateway_id: str) -> None:
        """As `BrokerAdmin.deny`. Also ends a connection that has no rights any more."""
        checked(gateway_id)
        with Control(self._settings, self._home) as control:
            # Only the deletion of a client ends its connections. The role goes last: in 2.0 it does not know
            # the clients that were created with it, and would leave them a reference to freed memory.
            commands = [
                {"command": "createClient", "username": gateway_id},
                {"command": "deleteClient", "username": gateway_id},
                {"command": "deleteRole", "rolename": rights.role_name(gateway_id)},
            ]
            _succeeded(control.ask(commands), besides=(*_EXISTS, *_ABSENT))

    def kick(self, gateway_id: str) -> None:
        """As `BrokerAdmin.kick`: the plugin ends the connections of a client that is modified."""
        checked(gateway_id)
        with Control(self._settings, self._home) as control:
            command = {"command": "modifyClient", "username": gateway_id, "textname": gateway_id}
            [answer] = control.ask([command])
        if answer.get("error") in _ABSENT:
            self.deny(gateway_id)
        else:
            _succeeded([answer])

    def granted(self) -> set[str]:
        """As `BrokerAdmin.granted`; one that has not exactly its own role does not count."""
        with Control(self._settings, self._home) as control:
            asked: list[Entry] = [{"command": "listClients", "verbose": True}, {"command": "listRoles"}]
            clients, roles = (answer["data"] for answer in _succeeded(control.ask(asked)))
        named, existing = {each["username"]: each for each in clients["clients"]}, set(roles["roles"])
        return {
            name
            for name, found in named.items()
            if name not in RESERVED and rights.same_client(found, name) and rights.role_name(name) in existing
        }

    def present(self, unwanted: Collection[str] = ()) -> set[str]:
        """As `BrokerAdmin.present`: the list is ours alone."""
        del unwanted
        with Control(self._settings, self._home) as control:
            [answer] = _succeeded(control.ask([{"command": "listClients"}]))
        return set(answer["data"]["clients"]) - RESERVED

    def install_crl(self, pem: bytes) -> None:
        """As `BrokerAdmin.install_crl`; a mosquitto that does not run reads it at its start."""
        self._revocation.install(pem)

    def _reload(self) -> bool:
        """Tell whether it was told to; false: it does not run. Raises BrokerError: it runs unknown to us."""
        if process.reload(self._home):
            return True
        if is_open(("127.0.0.1", self._settings.admin_port), self._settings.timeout_s):
            raise BrokerError(
                f"mosquitto runs, but {self._home.pid_file('mosquitto')} does not name it; restart it"
            )
        return False

    def stats(self) -> Stats:
        """As `BrokerAdmin.stats`; counts connections of gateways."""
        granted = len(self.granted())
        return Stats(process.version(), granted, process.connections(self._settings.port))

    def close(self) -> None:
        """As `BrokerAdmin.close`: nothing is open between calls."""


def _next_size(size: int, took_s: float) -> int:
    """Return how many the next batch may have so that it takes `_BATCH_S` at most, growing step by step."""
    fitting = int(size * _BATCH_S / max(took_s, 1e-3))
    return max(1, min(fitting, 2 * size, _LARGEST_BATCH))


def _repair(control: Control, gateway_id: str) -> None:
    """Correct what existed before; touches nothing that is right, since a change ends connections."""
    role, wanted = rights.role_name(gateway_id), rights.gateway_role(gateway_id)
    asked = [{"command": "getRole", "rolename": role}, {"command": "getClient", "username": gateway_id}]
    found_role, found_client = (answer.get("data", {}) for answer in control.ask(asked))
    corrections: list[Entry] = []
    if not rights.same_role(found_role.get("role", {}), wanted):
        corrections.append({"command": "modifyRole", **wanted})
    if not rights.same_client(found_client.get("client", {}), gateway_id):
        corrections.append({"command": "deleteClient", "username": gateway_id})
        corrections.append({"command": "createClient", **rights.client(gateway_id)})
    if corrections:
        _succeeded(control.ask(corrections))


def _succeeded(answers: list[Entry], besides: Sequence[str] = ()) -> list[Entry]:
    for answer in answers:
        if "error" in answer and answer["error"] not in besides:
            raise BrokerError(f"mosquitto refuses {answer.get('command')}: {answer['error']}")
    return answers
