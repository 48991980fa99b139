"""Keys of `[board]` with kind = "linux"."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Digital lines on the kernel's GPIO character device.

    A line is named by the kernel's name for it ("GPIO17"), by its number on the chip ("17"), or, on another
    chip than the header's, with that chip in front: "mcp23017:3", "gpiochip2:GPA0".

    Args:
        chip: The chip of lines without a chip in their name: its label, name or path
            ("pinctrl-bcm2711", "gpiochip0", "/dev/gpiochip0"); "" finds that of a Raspberry Pi's header.
    """

    chip: str = ""
