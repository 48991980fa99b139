"""All serial ports with Modbus devices. Nothing here or below ever writes a register."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager

from gateway.domain.ports import PollSpec
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.port import OnAnswer, Port
from gateway.errors import DriverError


class SerialPorts:
    """Implements ports.Fieldbus.

    Args:
        configs: The ports by their ids.
    """

    def __init__(self, configs: Mapping[str, Config]) -> None:
        self._ports = {port_id: Port(config) for port_id, config in configs.items()}

    def poll(self, spec: PollSpec, on_answer: OnAnswer, /) -> AbstractContextManager[None]:
        """See ports.Fieldbus."""
        if spec.port not in self._ports:
            raise DriverError(f"there is no [serial.{spec.port}]")
        return self._ports[spec.port].poll(spec, on_answer)

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """See ports.Board."""
        return {f"serial/{port_id}": port.run for port_id, port in self._ports.items()}
