"""The whole configuration as one frozen object, and the tables that no other package owns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.control.config import Config as ControlConfig
from gateway.domain.site import OnDaemonLoss, Site, ValveKind
from gateway.drivers.adc.config import Config as AdcConfig
from gateway.drivers.ble.config import Config as BluetoothConfig
from gateway.drivers.gpio.config import Config as GpioConfig
from gateway.drivers.meter import Config as MeterConfig
from gateway.drivers.modbus.config import Config as SerialConfig
from gateway.errors import ConfigError
from gateway.identity.config import Config as IdentityConfig
from gateway.link.config import Config as LinkConfig
from gateway.sim.config import Config as SimConfig
from gateway.store.config import Config as StoreConfig
from gateway.update.config import Config as UpdateConfig

Bias = Literal["up", "down", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Keys of `[gateway]`.

    Args:
        id: Name of the gateway at the broker and in its certificate (CN): a-z, 0-9, "-", at most 63.
        state_dir: Folder for what must survive a restart.
        runtime_dir: Folder for sockets; empty after a boot.
        cloud_loss_s: The broker may be away this long before it is a trouble.
    """

    id: str
    state_dir: Path = Path("/var/lib/reed")
    runtime_dir: Path = Path("/run/reed")
    cloud_loss_s: float = 900.0

    @property
    def identity_dir(self) -> Path:
        """Folder of our key and certificate, and of what the enrolment said."""
        return self.state_dir / "identity"

    @property
    def update_dir(self) -> Path:
        """Folder of the runner of updates: its record, what it trusts, what it has fetched."""
        return self.state_dir / "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValveLines:
    """Keys of `[valve.<id>]` that name lines.

    Args:
        open_line: Output that opens; for spring_return the only one, energised means held open.
        close_line: Output that closes; motorised and latching only.
        open_switch_line: End switch of the open end.
        closed_switch_line: End switch of the closed end.
        coils_active_low: The outputs energise when their line is low, as with many relay boards.
        switch_bias: Pull resistor of both switch lines. "up" suits switches to ground.
        switches_active_low: A made switch reads low, as a switch to ground does.
    """

    open_line: str
    close_line: str | None = None
    open_switch_line: str | None = None
    closed_switch_line: str | None = None
    coils_active_low: bool = False
    switch_bias: Bias = "up"
    switches_active_low: bool = True

    def check(self, kind: ValveKind) -> None:
        """Raise ConfigError unless the lines suit this kind of valve."""
        spring = kind is ValveKind.SPRING_RETURN
        if spring and self.close_line is not None:
            raise ConfigError(
                ("close_line", "a spring_return valve has none; remove it or choose another kind")
            )
        if not spring and self.close_line is None:
            raise ConfigError(("close_line", f"missing; a {kind} valve needs one"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValveKeys:
    """Keys of `[valve.<id>]` beside its lines.

    Args:
        kind: How the valve is driven.
        name: For people.
        travel_s: Time from end to end as the data sheet says; learned from then on.
        max_run_s: Hard bound on one run of a motor.
        dead_time_s: Pause between the two directions.
        pulse_s: Length of a latching pulse, at most 1.
        retry_every_s: A valve that failed to close is driven again this often.
        exercise_every_s: Exercise this often when all is quiet.
        on_daemon_loss: "close" releases a spring_return valve when the daemon has ended, in whatever way.
    """

    kind: ValveKind
    name: str = ""
    travel_s: float = 10.0
    max_run_s: float = 60.0
    dead_time_s: float = 0.5
    pulse_s: float = 0.05
    retry_every_s: float = 300.0
    exercise_every_s: float | None = None
    on_daemon_loss: OnDaemonLoss = OnDaemonLoss.HOLD

    def __post_init__(self) -> None:
        closes = self.on_daemon_loss is OnDaemonLoss.CLOSE
        wrong = [
            ("travel_s", "must be more than 0", self.travel_s <= 0),
            ("max_run_s", f"must be more than travel_s = {self.travel_s:g}", self.max_run_s <= self.travel_s),
            ("pulse_s", "must be more than 0 and at most 1", not 0 < self.pulse_s <= 1),
            ("retry_every_s", "must be at least 10", self.retry_every_s < 10),  # noqa: PLR2004  # motor duty
            ("exercise_every_s", "must be at least 3600", (self.exercise_every_s or 3600) < 3600),  # noqa: PLR2004
            (
                "on_daemon_loss",
                '"close" needs a spring_return valve: nobody would be left to end the run of another kind',
                closes and self.kind is not ValveKind.SPRING_RETURN,
            ),
        ]
        problems = [(key, problem) for key, problem, holds in wrong if holds]
        if problems:
            raise ConfigError(*problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonLines:
    """Keys of `[button.<id>]` that name its line.

    Args:
        line: Input of the button.
        bias: Pull resistor. "up" suits a button to ground.
        active_low: Pressed reads low, as a button to ground does.
        debounce_s: A new level must last this long.
    """

    line: str
    bias: Bias = "up"
    active_low: bool = True
    debounce_s: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorConfig:
    """Keys of `[indicator]`: the status light and the sounder, if there are any.

    Args:
        led_line: Output of the status light.
        sounder_line: Output of the sounder.
    """

    led_line: str | None = None
    sounder_line: str | None = None


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """A sensor's kind (its file in gateway/drivers/sensors) and that kind's own dataclass."""

    kind: str
    config: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that the daemon needs to know; `link` is None for a gateway without a cloud."""

    path: Path
    gateway: GatewayConfig
    board: SimConfig | GpioConfig
    bluetooth: BluetoothConfig
    store: StoreConfig
    control: ControlConfig
    link: LinkConfig | None
    identity: IdentityConfig
    indicator: IndicatorConfig
    site: Site
    sensors: Mapping[str, SensorConfig] = field(default_factory=dict)
    valves: Mapping[str, ValveLines] = field(default_factory=dict)
    buttons: Mapping[str, ButtonLines] = field(default_factory=dict)
    meters: Mapping[str, MeterConfig] = field(default_factory=dict)
    serial: Mapping[str, SerialConfig] = field(default_factory=dict)
    adc: Mapping[str, AdcConfig] = field(default_factory=dict)
    update: UpdateConfig = field(default_factory=UpdateConfig)
