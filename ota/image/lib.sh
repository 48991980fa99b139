# What the recipes share: where things are kept, and how a program of Debian 13 is run on this machine.
here=${here:-$(cd "$(dirname "$0")" && pwd)}
project=${here%/ota/*}
cache=${REED_IMAGE_CACHE:-$project/var/image}
disk_id=72656564 # "reed": partitions are found by it, so two cards in one machine would be mistaken for each other
mkdir -p "$cache"

fail() {
    echo "${0##*/}: $*" >&2
    exit 69
}

# apart ARGUMENT...: run the calling script again where its mounts are its own, and end with it
apart() {
    [ "$(id -u)" = 0 ] || fail "needs root (mount, chroot)"
    [ -z "${REED_APART:-}" ] || return 0
    REED_APART=1 exec unshare --mount --propagation private "$0" "$@"
}

words() { grep -hv '^#' "$@" | tr '\n' ' '; }

# once FILE COMMAND...: make FILE unless it is there; one maker at a time
once() {
    made=$1
    shift
    (
        flock 9
        [ -e "$made" ] || "$@"
    ) 9>"${made%/*}/lock-$(basename "$made" | cut -c 1-12)"
}

make_tools() {
    rm -rf "$tools"
    # shellcheck disable=SC2046
    "$here/base" "$(dpkg --print-architecture)" "$tools.tar" $(words "$here/packages/tools.txt") \
        >"$tools.log" 2>&1 || fail "the tools could not be had; see $tools.log"
    mkdir "$tools.new" && tar -C "$tools.new" -xf "$tools.tar" && rm "$tools.tar" && mv "$tools.new" "$tools"
}

# with_tools FOLDER: make `tool` run programs in a Debian 13 tree, in which FOLDER is /build
with_tools() {
    tools=$cache/tools-$(cat "$here/base" "$here/packages/tools.txt" | sha256sum | cut -c 1-16)
    once "$tools" make_tools
    mkdir -p "$tools/build"
    mount -t proc proc "$tools/proc"
    mount --bind /dev "$tools/dev"
    mount -t tmpfs tmpfs "$tools/tmp"
    mount --rbind "$1" "$tools/build"
}

tool() { chroot "$tools" env -C /build LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$@"; }

# partition ROLE: its number
partition() {
    case $1 in
        select) echo 1 ;; boot-a) echo 2 ;; boot-b) echo 3 ;; root-a) echo 5 ;; root-b) echo 6 ;; data) echo 7 ;;
        *) fail "no partition is called $1" ;;
    esac
}
