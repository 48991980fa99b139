#!/bin/sh
# Brings the former version back: asked to, at a boot after a power cut, or because nobody has said in time that
# the new one is good. It needs nothing of the package: no Python, and a copy of it lies in root's own folder.
#
#   guard.sh restore WHY    the former version, whatever is there now
#   guard.sh repair         finish what dpkg was interrupted in, else restore
#   guard.sh disarm         the trial is over: nothing happens any more
#
# What it has to do stands beside it in guard.conf: kind, version, former_version, former_file, was_active and, of
# a configuration, config_file, new_sha256, former_sha256, action.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
home=${REED_APPLY_HOME:-/var/lib/reed-apply}
units=${REED_GUARD_UNITS:-/usr/local/lib/systemd/system}
unit=reed-gateway.service
package=reed-gateway
tries=20

say() {
    echo "reed-apply: $*"
}

disarm() {
    rm -f "$home/pending.json"
    sync -f "$home"
    rm -f "$units/timers.target.wants/reed-apply-guard.timer" "$units/reed-apply-guard.timer" \
        "$units/reed-apply-guard.service"
    rm -f "$home/guard.conf"
    if [ -d /run/systemd/system ]; then
        systemctl --no-block stop reed-apply-guard.timer 2>/dev/null
        systemctl daemon-reload
    fi
}

# $1: restored or kept, $2: why
outcome() {
    plain=$(printf %s "$2" | tr -d '"\\' | tr '\001-\037\177' ' ')
    printf '{"kind": "%s", "version": "%s", "former_version": "%s", "outcome": "%s", "detail": "%s"}\n' \
        "$kind" "$version" "$former_version" "$1" "$plain" >"$home/outcome.json.new"
    sync "$home/outcome.json.new"
    mv "$home/outcome.json.new" "$home/outcome.json"
    say "$kind $version: $1 to $former_version: $plain"
}

protect() {
    [ "$was_active" = yes ] || return 0
    systemctl --quiet is-active $unit && [ "$1" != restart ] && return 0
    systemctl reset-failed $unit 2>/dev/null
    systemctl restart $unit || say "$unit does not start; systemd goes on trying"
}

# --- the application ------------------------------------------------------------------------------------

package_is() {
    [ "$(dpkg-query -Wf '${db:Status-Status} ${db:Status-Eflag} ${Version}' $package)" = "installed ok $1" ]
}

# what dpkg was interrupted in, the triggers of other packages too
settle() {
    [ -z "$(dpkg --audit)" ] || dpkg --configure -a --force-confold
}

restore_app() {
    if ! package_is "$former_version"; then
        # another package manager may be at work
        until dpkg --force-confold --force-downgrade --install "$former_file"; do
            tries=$((tries - 1))
            [ $tries -gt 0 ] || return 1
            dpkg --configure -a --force-confold
            package_is "$former_version" && break
            sleep 3
        done
    fi
    protect as-it-is
    settle || say "dpkg is not in order; see: dpkg --audit"
    package_is "$former_version"
}

repair_app() {
    settle
    if package_is "$version" || package_is "$former_version"; then
        protect as-it-is
        return
    fi
    restore_app && outcome restored "power was cut while it was installed" && disarm
}

# --- the configuration ----------------------------------------------------------------------------------

config_is() {
    [ "$(sha256sum "$config_file" 2>/dev/null | cut -d ' ' -f 1)" = "$1" ]
}

restore_config() {
    config_is "$former_sha256" && protect as-it-is && return
    if [ -e "$config_file" ] && ! config_is "$new_sha256"; then
        say "$config_file was edited meanwhile and is left as it is; the former one: $former_file"
        kept=yes
        return 0
    fi
    draft=$(dirname "$config_file")/.gateway.toml.former
    cp --preserve=mode,ownership "$former_file" "$draft" && sync "$draft" && mv "$draft" "$config_file" || return 1
    sync "$(dirname "$config_file")"
    case $action in
    reload) systemctl --quiet is-active $unit && systemctl reload $unit || protect restart ;;
    *) protect restart ;;
    esac
}

# ----------------------------------------------------------------------------------------------------------

[ "${1-}" = disarm ] || [ -e "$home/guard.conf" ] || exec /bin/sh "$0" disarm
if [ "${REED_APPLY_LOCKED-}" != yes ]; then
    exec 9>>"$home/lock"
    flock --wait 900 9 || say "somebody else has the lock for too long; going on"
    # it may have been committed while this waited
    [ "${1-}" = disarm ] || [ -e "$home/pending.json" ] || exec env REED_APPLY_LOCKED=yes /bin/sh "$0" disarm
fi
[ "${1-}" != disarm ] || { disarm; exit; }
kept=no
. "$home/guard.conf"
case ${1-} in
restore)
    "restore_$kind" || { say "$kind $former_version could not be brought back"; exit 1; }
    if [ $kept = yes ]; then outcome kept "${2-}; it was edited meanwhile"; else outcome restored "${2-}"; fi
    disarm
    ;;
repair) [ "$kind" != app ] || repair_app ;;
*) say "restore WHY, repair or disarm?"; exit 64 ;;
esac
