# Raspberry Pi 4 and Compute Module 4, with Debian's kernel. That has no way to the firmware's mailbox: such an image
# protects and can be rehearsed with, but updates of the whole system are refused.
machine=arm64
compatible=reed-rpi-arm64
modules=most
console='console=serial0,115200 console=tty1'
boot_mib=256 slot_mib=2048 data_mib=512

# boot_extra ROOT FOLDER: the firmware, and which of the two command lines it takes
boot_extra() {
    cp "$1"/usr/lib/raspi-firmware/start4.elf "$1"/usr/lib/raspi-firmware/fixup4.dat "$2/"
    cp -r "$1"/usr/lib/raspi-firmware/overlays "$2/"
    cp "$1"/usr/lib/linux-image-*/broadcom/bcm2711-*.dtb "$2/"
    { echo upstream_kernel=1 && cat "$here/config.txt"; } >"$2/config.txt"
}
