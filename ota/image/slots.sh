# The two file systems of a slot, the same to the last byte whenever they are made of the same system.
# Sourced by build; the system is in $work/root.
boot=$work/boot
mkdir "$boot"
mv "$root"/boot/vmlinuz-* "$boot/vmlinuz"
mv "$root"/boot/initrd.img-* "$boot/initrd.img"
find "$root/boot/firmware" -mindepth 1 -delete # what Debian's package lays there, on the Pi
rm -f "$root/vmlinuz" "$root/initrd.img" "$root/vmlinuz.old" "$root/initrd.img.old"
for slot in a:5:A b:6:B; do
    number=${slot#*:} && number=${number%:*}
    echo "root=PARTUUID=$disk_id-0$number rootfstype=ext4 ro rootwait panic=10 quiet $console rauc.slot=${slot##*:}" \
        >"$boot/cmdline-${slot%%:*}.txt"
done
boot_extra "$root" "$boot"

find "$root" "$boot" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date "@$SOURCE_DATE_EPOCH"

# make_fat FILE MIB LABEL ID FOLDER
make_fat() {
    rm -f "$work/out/$1"
    truncate -s "${2}M" "$work/out/$1"
    tool mkfs.vfat -F 32 -n "$3" -i "$4" --invariant "out/$1" >/dev/null
    (cd "$work/$5" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort) | while read -r name; do
        if [ -d "$work/$5/$name" ]; then tool mmd -i "out/$1" "::$name"; else
            tool mcopy -m -i "out/$1" "$5/$name" "::$name"
        fi
    done
}
make_fat boot.vfat $boot_mib REED-BOOT 72656562 boot

# content, a twelfth more for the file system's own needs, and room that costs nothing
need_mib=$(find "$root" -xdev -printf '%s\n' | awk '{ n += int(($1 + 4095) / 4096) * 4096 + 256 } END { print int(n / 1048576 * 13 / 12) + 24 }')
truncate -s "$((need_mib / 8 * 8 + 8))M" "$work/out/root.ext4"
[ "$need_mib" -lt "$slot_mib" ] || fail "the system needs $need_mib MiB, a slot has $slot_mib"
id=72656564-6f74-4172-8f6f-740000000000
# blocks of 4 KiB also in a small one: the index by which gateways find what they have already counts in these
inodes=$(find "$root" -xdev | wc -l)
tool mkfs.ext4 -q -F -b 4096 -N $((inodes * 5 / 4)) -L reed-root -U $id -E "hash_seed=$id,root_owner=0:0,lazy_itable_init=0,nodiscard" \
    -O '^has_journal,^resize_inode,^metadata_csum_seed' -m 0 -d root out/root.ext4
