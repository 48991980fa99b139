# Raspberry Pi 4 and 5 and their Compute Modules, with Raspberry Pi's own kernel, firmware and vcmailbox.
machine=arm64
compatible=reed-rpi-arm64
modules=most
console='console=serial0,115200 console=tty1'
boot_mib=256 slot_mib=2048 data_mib=512

# boot_extra ROOT FOLDER: the firmware, and which of the two command lines it takes
boot_extra() {
    cp "$1"/usr/lib/raspi-firmware/start4.elf "$1"/usr/lib/raspi-firmware/fixup4.dat "$2/"
    cp "$1"/usr/lib/linux-image-*/broadcom/bcm271[12]*.dtb "$2/"
    cp -r "$1"/usr/lib/linux-image-*/overlays "$2/"
    cp "$here/config.txt" "$2/"
}
