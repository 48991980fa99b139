"""What a failure of bleak or of the bus means, and what to do: nobody should have to know D-Bus."""

from gateway.errors import DriverError

NO_ANSWER = "bluetoothd does not answer; systemctl restart bluetooth"

_WORDS = {
    "ServiceUnknown": "bluetoothd is not running; systemctl start bluetooth",
    "NameHasNoOwner": "bluetoothd is not running; systemctl start bluetooth",
    "AccessDenied": "no permission; use sudo, or join the group bluetooth",
    "NoReply": NO_ANSWER,
    "No Bluetooth adapters": "there is no adapter; is it plugged in? bluetoothctl list",
    "No powered Bluetooth": "the adapter is switched off; rfkill list, bluetoothctl power on",
    "NotReady": "the adapter is switched off; rfkill list, bluetoothctl power on",
}
"""What a message of bleak or an error's D-Bus name contains, and what it means."""


def trouble(error: Exception) -> DriverError:
    """Return it as one line for a person."""
    # bleak 0.22 gives text, or name and body of a D-Bus error; 2 and later a text and a reason
    told = f"{type(error).__name__}: {error}"
    for mark, meaning in _WORDS.items():
        if mark in told:
            return DriverError(f"Bluetooth cannot be used: {meaning}")
    if isinstance(error, OSError):
        return DriverError(
            f"Bluetooth cannot be used: no system bus ({error.strerror}); systemctl status dbus"
        )
    text = " ".join(str(error.args[0] if error.args else error).split()).rstrip(".")
    advice = "bluetoothctl list, systemctl status bluetooth"
    return DriverError(f"Bluetooth cannot be used: {text or type(error).__name__}; {advice}")
