#!/bin/sh
# Runs in the new system's chroot: the kernel modules, the units, and nothing that makes a start under emulation slow.
set -eu
here=/root/image
export DEBIAN_FRONTEND=noninteractive

before=$(dpkg-query -W -f '${Package}\n' | sort)
apt-get -qq install --no-install-recommends linux-headers-amd64 linux-source-6.12 make gcc xz-utils >/dev/null
sh "$here/build_modules.sh" "$here"
added=$(dpkg-query -W -f '${Package}\n' | sort | comm -13 /dev/fd/3 - 3<<X
$before
X
)
# shellcheck disable=SC2086 # a list of package names
apt-get -qq purge $added >/dev/null
rm -rf /usr/src/*

echo pi >/etc/hostname
echo '127.0.0.1 localhost pi' >/etc/hosts
echo '/dev/vda / ext4 defaults,noatime 0 0' >/etc/fstab
printf '%s\n' hci_vhci gpio_sim_pi i2c-dev >/etc/modules-load.d/rig.conf
install -d /etc/systemd/network /etc/systemd/system.conf.d
cp "$here/wired.network" /etc/systemd/network/
printf '[Manager]\nDefaultTimeoutStartSec=300s\nDefaultDeviceTimeoutSec=300s\n' >/etc/systemd/system.conf.d/slow.conf
systemctl -q enable systemd-networkd.service ssh.service bluetooth.service
systemctl -q disable mosquitto.service
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service systemd-hwdb-update.service \
    systemd-tpm2-setup.service systemd-tpm2-setup-early.service sys-kernel-debug.mount systemd-pcrmachine.service \
    e2scrub_reap.service systemd-binfmt.service
python3 -m compileall -q /usr/lib/python3/dist-packages >/dev/null || true
