"""Steps against a deaf adapter that BlueZ has no call for, and what the kernel knows about it.

USB adapters are unplugged and plugged in by software (`authorized`, Documentation/usb/authorization.rst);
others, as the one on a Raspberry Pi's board, are reset by the kernel (ioctl HCIDEVRESET). The first needs
write permission in /sys, the second CAP_NET_ADMIN; without, the step is skipped and says so.
"""

import contextlib
import fcntl
import os
import re
import socket
import time
from pathlib import Path

from gateway.errors import DriverError

SYS = Path("/sys")

_HCIDEVRESET = 0x400448CB  # _IOW('H', 203, int)
_AF_BLUETOOTH, _BTPROTO_HCI = 31, 1  # Python may be built without Bluetooth
_UNPLUGGED_S = 1.0


def reset(adapter: str, sys: Path = SYS) -> str:
    """Reset an adapter ("hci0") and return how; blocks for a second or two.

    Raises:
        DriverError: It cannot be reset from here, and why.
    """
    authorized = _usb_switch(adapter, sys)
    if authorized is None:
        return _reset_controller(adapter)
    try:
        authorized.write_text("0", encoding="ascii")
        time.sleep(_UNPLUGGED_S)
        authorized.write_text("1", encoding="ascii")
    except OSError as error:
        raise DriverError(f"USB reset needs write permission for {authorized}: {error.strerror}") from None
    return "USB re-authorised"


def _usb_switch(adapter: str, sys: Path) -> Path | None:
    """Return the switch of the USB device that the adapter is, or None if it is none."""
    try:
        interface = (sys / "class" / "bluetooth" / adapter / "device").resolve(strict=True)
    except OSError:
        return None
    # the adapter hangs on an interface ("1-1.2:1.0") of the device ("1-1.2"); a UART has no such switch
    for folder in (interface, interface.parent):
        if (folder / "authorized").exists() and (folder / "idVendor").exists():
            return folder / "authorized"
    return None


def _reset_controller(adapter: str) -> str:
    number = int(re.sub(r"\D", "", adapter) or 0)
    try:
        with contextlib.closing(socket.socket(_AF_BLUETOOTH, socket.SOCK_RAW, _BTPROTO_HCI)) as hci:
            fcntl.ioctl(hci.fileno(), _HCIDEVRESET, number)
    except OSError as error:
        raise DriverError(f"HCI reset is not possible here ({os.strerror(error.errno or 0)})") from None
    return "HCI reset"


def rfkill(sys: Path = SYS) -> str:
    """Return what blocks Bluetooth radios, with advice, or ""."""
    for switch in sorted((sys / "class" / "rfkill").glob("rfkill*")):
        with contextlib.suppress(OSError):
            told = {
                name: (switch / name).read_text(encoding="ascii").strip() for name in ("type", "soft", "hard")
            }
            if told["type"] != "bluetooth":
                continue
            if told["hard"] == "1":
                return "blocked by a switch on the machine (rfkill, hard)"
            if told["soft"] == "1":
                return "blocked by software; rfkill unblock bluetooth"
    return ""
