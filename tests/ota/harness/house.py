"""A gateway with two slots, its building, and what it reaches: update server, broker, cloud."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.demo.cloud import Cloud
from tests.ota.harness.pi import Pi
from tests.ota.harness.remote import Gone
from tests.ota.harness.say import say
from tests.ota.harness.server import Server
from tests.ota.harness.works import BROKER_PORT, FIRST, INSIDE, UPDATES_PORT, Shop, Works
from tests.system.harness.outside import Outside

RECORD = "/var/lib/reed/update/record.json"
FINAL = frozenset({"succeeded", "failed", "rejected", "cancelled", "rolled_back"})
_LINK_S = 240.0


class House:
    """Powered on by the test, or resumed.

    Attributes:
        pi: The gateway.
        outside: Broker and cloud.
        server: Of updates.
        shop: What it serves.
    """

    def __init__(self, pi: Pi, outside: Outside, server: Server, shop: Shop) -> None:
        self.pi, self.outside, self.server, self.shop = pi, outside, server, shop
        self._ordered = 0

    # --- updates --------------------------------------------------------------------------------------

    def order(self, target: str, version: str, kind: str = "os", **more: object) -> str:
        """Have the cloud order an update; return its id when the gateway has taken the command."""
        self._ordered += 1
        update_id = f"u-{time.time_ns()}-{self._ordered}"
        body = {"update_id": update_id, "kind": kind, "target": target, "version": version, **more}
        self._cloud_sees(lambda cloud: cloud.connected, "the broker", 60.0)
        now_s = time.time()
        command = self._send("update", body, not_after=now_s + 600)
        self._cloud_sees(lambda cloud: cloud.answers(command)[1:], "an answer to the order", 240.0)
        answers = self.outside.look(lambda cloud: cloud.answers(command))
        assert answers[-1][0] == "succeeded", answers
        return update_id

    def record(self) -> dict[str, Any]:
        """Return what the runner has on disk of the present or last update; empty if nothing."""
        text = self.pi.run(f"cat {RECORD}", check=False)
        return dict(json.loads(text)["update"]) if text else {}

    def until_state(self, update_id: str, wanted: Collection[str], within_s: float) -> dict[str, Any]:
        """Wait until the update is in one of these states; return it. Raises AssertionError."""
        deadline_s = time.monotonic() + within_s
        seen = ""
        while True:
            update = self.record()
            state = update.get("state", "none") if update.get("order", {}).get("id") == update_id else "other"
            if state != seen:
                say(f"{state} {update.get('code', '')} {update.get('detail', '')}")
                seen = state
            if state in wanted:
                return update
            over = state in FINAL or time.monotonic() > deadline_s
            assert not over, f"{update} instead of {sorted(wanted)}\n{self.why()}"
            time.sleep(0.5)

    def ends(self, update_id: str, within_s: float) -> dict[str, Any]:
        """Wait for the end of an update, however often that starts the machine; return it."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                return self.until_state(update_id, FINAL, deadline_s - time.monotonic())
            except Gone:
                self.pi.follow()

    def told(self, update_id: str) -> list[Mapping[str, Any]]:
        """Return the bodies of what the cloud was told of an update."""
        held = self.outside.held("update")
        return [m["body"] for m in held if m["body"]["update_id"] == update_id]

    def hears(self, update_id: str, state: str, within_s: float = _LINK_S) -> Mapping[str, Any]:
        """Wait until the cloud knows of this state; return what it was told."""
        deadline_s = time.monotonic() + within_s
        while not (found := [body for body in self.told(update_id) if body["state"] == state]):
            assert time.monotonic() < deadline_s, f"the cloud was told {self.told(update_id)}, not {state}"
            time.sleep(0.5)
        return found[-1]

    def why(self) -> str:
        """Return what those who take part in updates have written of late."""
        units = "reed-update reed-health reed-apply@* rauc reed-boot-repair reed-trial-guard reed-gateway"
        options = " ".join(f"-u '{unit}'" for unit in units.split())
        try:
            return self.pi.run(
                f"journalctl -b --no-pager -o short-monotonic {options} | tail -n 60", check=False
            )
        except Exception as error:  # noqa: BLE001  # only for a message
            return f"{error}\n{self.pi.last_words()}"

    # --- the system ------------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """Of the image that runs."""
        return self.pi.run("sed -n s/^version=//p /etc/reed-image").strip()

    def boot_state(self) -> dict[str, str]:
        """Return what the back end says."""
        lines = self.pi.run("/usr/lib/reed/rauc-tryboot show").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def up_s(self) -> float:
        """Return the seconds since the kernel started."""
        return float(self.pi.run("cut -d ' ' -f 1 /proc/uptime"))

    def ready_s(self) -> float:
        """Return when the gateway was READY, in seconds since the kernel started."""
        shown = self.pi.run("systemctl show reed-gateway -P ActiveEnterTimestampMonotonic")
        return int(shown) / 1e6

    def stays_on_trial(self, for_s: float) -> bool:
        """Follow the system for a while; tell whether it still runs on trial, and was not reset."""
        if self.pi.machine.ended(for_s):
            self.pi.follow()
            return False
        return self.boot_state()["trial"] == "yes"

    def is_protecting(self, within_s: float = 400.0) -> None:
        """Wait for READY."""
        self.pi.until("systemctl is-active reed-gateway", within_s)

    def is_linked(self) -> None:
        """Wait until the gateway has its link to the cloud."""
        self._cloud_sees(lambda cloud: (cloud.status() or (False,))[0], "the gateway's link", _LINK_S)

    # --- the building ----------------------------------------------------------------------------------

    def leak(self, rounds: int = 1) -> float:
        """Make the kitchen wet so often; return the median of seconds until its valve was switched."""
        script = (Path(__file__).parents[1] / "inside" / "leak.py").read_text()
        words = f"kitchen-dishwasher kitchen-open kitchen {rounds}"
        return float(self.pi.run(f"python3 - {words}", timeout_s=600.0, given=script))

    def dry(self) -> None:
        """Dry the kitchen, reset the alarm and open its valve."""
        self.leak(0)

    # --- outside ---------------------------------------------------------------------------------------

    def unplug(self) -> None:
        """Leave neither update server nor broker in reach."""
        self.pi.ways = {}

    def restock(self, works: Works) -> None:
        """Serve what the vendor has released by now."""
        folder = Path(tempfile.mkdtemp(dir=self.server.folder.parent))
        self.shop = Shop(works, folder)
        self.server.folder = self.shop.www

    def _cloud_sees(self, holds: Callable[[Cloud], object], wish: str, within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        while not self.outside.look(holds):
            assert time.monotonic() < deadline_s, f"the cloud waited {within_s:g} s for {wish}\n{self.why()}"
            time.sleep(0.2)

    def _send(self, kind: str, body: Mapping[str, Any], **claims: object) -> str:
        async def send(cloud: Cloud) -> str:
            return await cloud.command(kind, body, **claims)

        return self.outside._wait(send(self.outside.cloud))


@contextmanager
def house(works: Works) -> Iterator[House]:
    """One that is off and whose card is as it comes from the works."""
    with tempfile.TemporaryDirectory(prefix="reed-ota-", dir=works.folder) as name:
        folder = Path(name)
        shutil.copytree(works.ca.folder, folder / "outside" / "ca")
        shop = Shop(works, folder)
        with Outside(folder / "outside") as outside, Server(shop.www, works.ca) as server:
            ways = {f"{INSIDE}:{UPDATES_PORT}": server.port, f"{INSIDE}:{BROKER_PORT}": outside.broker.port}
            pi = Pi(folder, works.image(FIRST, disk=True) / "disk.img", ways)
            try:
                yield House(pi, outside, server, shop)
            finally:
                pi.cut_power()
