# The test machine: QEMU is given kernel, initial file system and command line by a model of the Pi's firmware.
machine=amd64
compatible=reed-qemu-amd64
modules='virtio_pci virtio_blk virtio_scsi sd_mod virtio_rng i6300esb'
console='console=ttyS0'
boot_mib=64 slot_mib=1024 data_mib=256
boot_extra() { cp "$here/config.txt" "$2/"; } # the model of the firmware reads it
