"""What the codes of a TPM mean for a person. Source: TPM 2.0 Library, part 2, 6.6; tss2_common.h."""

from pathlib import Path
from typing import Final

FAILURE: Final = 0x101
NO_SUCH_HANDLE: Final = 0x8B
OTHER_TPM: Final = frozenset({0x9F, NO_SUCH_HANDLE})
"""Of what is loaded: its integrity (another TPM made it, or it is damaged), or its parent is gone."""

_TPM_LAYERS: Final = frozenset({0x00, 0x0B, 0x0C})
"""The TPM itself, and resource managers that pass its codes on."""
_TCTI_LAYER: Final = 0x0A
_FORMAT_ONE: Final = 0x80

_OWNED: Final = "its owner has a password: make the storage key 0x81000001 by hand (tpm2_evictcontrol)"
_HELP: Final = {
    0x100: "it was not started (TPM2_Startup): switch the power off and on, and check the firmware",
    FAILURE: "it has failed its own test: switch the power off and on; if that does not help, replace it",
    0x8E: _OWNED,
    0xA2: _OWNED,
    0x902: "its memory is full of other programs' keys: use /dev/tpmrm0, not /dev/tpm0",
    0x903: "its memory is full of other programs' sessions: use /dev/tpmrm0, not /dev/tpm0",
    0x921: "it is locked after too many wrong passwords: wait, or run: tpm2_dictionarylockout -c",
    0x923: "it spares its memory just now: try again later",
    0x922: "it is busy: try again later",
}


def base(code: int) -> int:
    """Return the code without the number of the parameter, session or handle that it speaks of."""
    code &= 0xFFFF
    return code & 0xBF if code & _FORMAT_ONE else code


def of_tpm(code: int) -> bool:
    """Return whether the TPM itself has answered with this code."""
    return (code >> 16) & 0xFF in _TPM_LAYERS


def explain(code: int, tcti: str) -> str:
    """Return one line for a code that no caller could say more about."""
    if (code >> 16) & 0xFF == _TCTI_LAYER:
        return unreachable(tcti)
    known = _HELP.get(base(code))
    return f"the TPM refuses: {known}" if known else f"the TPM refuses with code 0x{code:x}"


def unreachable(tcti: str) -> str:
    """Return one line for a TPM that cannot be spoken to, with what can be seen from here."""
    kind, _, place = tcti.partition(":")
    if kind != "device":
        return f"the TPM cannot be reached at {tcti}"
    device = Path(place or "/dev/tpmrm0")
    if not device.exists():
        return f"there is no TPM at {device}; fit one and enable it (dtoverlay=tpm-slb9670)"
    try:
        device.open("r+b", buffering=0).close()
    except PermissionError:
        return f"no permission on {device}: the user must be in the group tss (usermod -aG tss USER)"
    except OSError as error:
        return f"the TPM at {device} cannot be used: {error.strerror or error}"
    return f"the TPM at {device} does not answer as a TPM; switch the gateway's power off and on"
