"""A battery-powered BLE leak detector: when it sends, and what an eavesdropper can do with that."""

from gateway.sim import radio
from gateway.sim.happening import AdvertSent
from gateway.sim.plan import Beacon
from gateway.sim.water import Probe

REPEAT_S = 0.1
S_PER_DAY = 86400.0


class Transmitter:
    """One sensor. It speaks at once when it gets wet or dry, repeating itself, and else every `beacon_s`."""

    def __init__(self, name: str, plan: Beacon, *, counter: int, first_s: float, now_s: float) -> None:
        self.probe = Probe(plan.wet_l)
        self.counter = counter
        self._name = name
        self._plan = plan
        self._address = bytes.fromhex(plan.address.replace(":", ""))
        self._key = bytes.fromhex(plan.key) or None
        self._next_s = first_s
        self._repeats = 0
        self._repeat_s = 0.0
        self._last = radio.Sent({}, {})
        self._oldest: radio.Sent | None = None
        self.charge(plan.battery_percent, now_s)

    def charge(self, percent: float, now_s: float) -> None:
        """Put in a battery that holds so much; 0 leaves the sensor dead."""
        self._charge_percent, self._charged_s = percent, now_s
        self._repeats = 0

    def battery_percent(self, now_s: float) -> float:
        """What is left of the battery."""
        used = 100.0 * (now_s - self._charged_s) / (self._plan.battery_days * S_PER_DAY)
        return max(0.0, self._charge_percent - used)

    def next_s(self) -> float:
        """When it will send next."""
        return min(self._next_s, self._repeat_s) if self._repeats else self._next_s

    def tick(self, temperature_degc: float, now_s: float) -> AdvertSent | None:
        """Send what is due; None from a dead sensor."""
        if self._repeats and now_s >= self._repeat_s:
            self._repeats -= 1
            self._repeat_s = now_s + REPEAT_S
            return self._advert(self._last, now_s)
        if now_s >= self._next_s:
            return self.report(temperature_degc, now_s, repeats=1)
        return None

    def report(self, temperature_degc: float, now_s: float, *, repeats: int = 0) -> AdvertSent | None:
        """Send a new frame now and repeat it (0: as often as planned)."""
        self._next_s = now_s + self._plan.beacon_s
        battery = self.battery_percent(now_s)
        if battery <= 0:
            return None
        self._repeats = (repeats or self._plan.repeats) - 1
        self._repeat_s = now_s + REPEAT_S
        status = radio.Status(self.probe.wet, round(battery), temperature_degc, self.counter)
        self._last = self._encode(status, self._key)
        self._oldest = self._oldest or self._last
        self.counter += 1
        return self._advert(self._last, now_s)

    def replayed(self, now_s: float) -> AdvertSent | None:
        """What an eavesdropper sends who recorded this sensor's first frame; None if there was none."""
        return self._advert(self._oldest, now_s) if self._oldest else None

    def forged(self, now_s: float) -> AdvertSent | None:
        """What somebody sends who has not the key: a frame that says wet; None if the sensor has no key."""
        if self._key is None:
            return None
        status = radio.Status(wet=True, battery_percent=99, temperature_degc=20.0, counter=self.counter + 1)
        return self._advert(self._encode(status, bytes(16)), now_s)

    def _encode(self, status: radio.Status, key: bytes | None) -> radio.Sent:
        match self._plan.format:
            case "bthome":
                return radio.bthome(self._address, key, status)
            case "mibeacon":
                return radio.mibeacon(self._address, key, status, self._plan.model)
            case "switchbot":
                return radio.switchbot(self._address, status)
            case "mocreo":
                return radio.mocreo(status)

    def _advert(self, sent: radio.Sent, now_s: float) -> AdvertSent:
        return AdvertSent(
            sensor=self._name,
            address=self._plan.address,
            service_data=sent.service_data,
            manufacturer_data=sent.manufacturer_data,
            name=sent.name,
            rssi_dbm=self._plan.rssi_dbm,
            at_s=now_s,
        )
