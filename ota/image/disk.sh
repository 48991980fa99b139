# The card: first the partition that chooses, then boot A and B, then in the extended one root A, root B and data.
# All FATs come first, in an MBR: what the Pi's firmware has read in every version. Sourced by build.
mkdir "$work/select" "$work/data"
printf '[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n' >"$work/select/autoboot.txt"
touch --date "@$SOURCE_DATE_EPOCH" "$work/select/autoboot.txt"
make_fat select.vfat 64 REED-SELECT 72656561 select

id=72656564-6461-4174-8164-617461000000
truncate -s "${data_mib}M" "$work/out/data.ext4"
# as for the large one that it becomes at the first start
tool mkfs.ext4 -q -F -b 4096 -i 16384 -L reed-data -U $id -E "hash_seed=$id,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard" \
    -m 1 -d data out/data.ext4

# place FILE MIB: at that place of the card, holes staying holes
place() { dd if="$work/out/$1" of="$work/out/disk.img" bs=1M seek="$2" conv=notrunc,sparse status=none; }
at=4
line() {
    echo "start=$((at * 2048)), size=$(($2 * 2048)), type=$3"
    place "$1" $at
    at=$((at + $2))
}
truncate -s "$((4 + 64 + 2 * boot_mib + 2 * slot_mib + data_mib + 4 * 4))M" "$work/out/disk.img"
{
    printf 'label: dos\nlabel-id: 0x%s\nunit: sectors\n' $disk_id
    line select.vfat 64 c
    line boot.vfat $boot_mib c
    line boot.vfat $boot_mib c
    echo "start=$((at * 2048)), type=5"
    for part in root.ext4:$slot_mib root.ext4:$slot_mib data.ext4:$data_mib; do
        at=$((at + 4)) # where the table of the logical partition lies
        line "${part%:*}" "${part#*:}" 83
    done
} >"$work/table"
tool sfdisk --quiet --no-reread --no-tell-kernel out/disk.img <"$work/table" >/dev/null
rm "$work/out/select.vfat" "$work/out/data.ext4"
