#!/bin/sh
# Tells what a restore point of a database node must have: where PostgreSQL keeps its data, on which disks that lies, and what else
# lies on those mounts. Writes nothing; asks PostgreSQL for a checkpoint, so that a restored copy starts sooner.
#
# PORT              PostgreSQL's (5432)
# DATA_DIR          what its data directory is expected to be; may be unset
# STOPPED           yes: PostgreSQL was stopped cleanly, and what it has left is told (no)
# CHECKPOINT        yes or no
# CHECKPOINT_LIMIT  seconds that the checkpoint may take (60); it goes on afterwards, but nobody waits for it
# MOUNTS            mount points that are to be frozen, a line for each; may be unset
#
# Prints lines of fields between tabs; in paths `%`, tab and newline are %25, %09 and %0A:
#   survey            1
#   role              leader|replica
#   synchronous       yes|no|unknown: whether it is a synchronous standby, which only the leader knows
#   system            PostgreSQL's system identifier
#   timeline, version, redo, data, full_page_writes
#   place             data|wal|OID of a tablespace, real path, mount point
#   mount             mount point, file system
#   holds             mount point, what is there that must not be frozen: root, boot, etcd, patroni, agent, state, programs, ...
#   disk              mount point, EBS volume or `-`, device, ebs|instance-store|other
#   vdev              pool, role (data, log, special, dedup, cache, spare), EBS volume or `-`, device
#   checkpoint        done|skipped|failed: why
#   problem           what keeps the survey from being whole
#   end               always the last line
# Ends with 0 when the survey is whole, with 1 when there was a problem.
set -u
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

line() {
    format=%s
    for _ in $(seq 2 $#); do format="$format\t%s"; done
    # shellcheck disable=SC2059 # made right here
    printf "$format\n" "$@"
}

stop() {
    line problem "$1"
    line end
    exit 1
}

encode() {
    printf '%s\n' "$1" | awk '{ gsub(/%/, "%25"); gsub(/\t/, "%09"); printf "%s%s", separator, $0; separator = "%0A" }'
}

# The same in survey.sh and freeze.sh: device number of the whole file system (however often it is mounted), type, mount point,
# source and options of the mount that holds a path. Of a path that does not exist: nothing.
mount_of() {
    real=$(realpath -e -- "$1" 2>/dev/null) || return
    place=$real awk '
        function plain(text) {
            gsub(/\\040/, " ", text); gsub(/\\011/, "\t", text); gsub(/\\012/, "\n", text); gsub(/\\043/, "#", text)
            gsub(/\\134/, "\\", text)
            return text
        }
        function coded(text) {
            gsub(/%/, "%25", text); gsub(/\t/, "%09", text); gsub(/\n/, "%0A", text)
            return text
        }
        BEGIN { place = ENVIRON["place"]; longest = 0 }
        {
            at = plain($5)
            if (at != "/" && at != place && index(place, at "/") != 1) next
            if (length(at) < longest) next
            longest = length(at)
            for (i = 7; $i != "-"; i++);
            found = $3 "\t" $(i + 1) "\t" coded(at) "\t" coded(plain($(i + 2))) "\t" coded(plain($(i + 3)))
        }
        END { if (found == "") exit 1; print found }' /proc/self/mountinfo
}

# The same in survey.sh and freeze.sh: kind and path of all that must go on while a file system is frozen. What hangs on it could
# not thaw it, or would take the node out of its cluster.
vital() {
    printf '%s\t%s\n' root / boot /boot boot /boot/efi state /var/lib/pilothouse state /etc/pilothouse \
        etcd /var/lib/etcd etcd /etc/etcd patroni /etc/patroni patroni /etc/patroni.yml \
        agent /var/lib/amazon agent /var/log/amazon agent /etc/amazon agent /var/snap/amazon-ssm-agent \
        logs /var/log logs /var/log/journal temporary-files /tmp
    sed -n 's/^[[:space:]]*PILOTHOUSE_ETCD_DATA_DIR=["'\'']\{0,1\}\([^"'\'']*\).*/etcd\t\1/p' /etc/pilothouse/node.env 2>/dev/null
    for process in /proc/[0-9]*; do
        read -r name 2>/dev/null <"$process/comm" || continue
        # The kernel keeps 15 characters.
        case $name in
        etcd) kind=etcd ;;
        amazon-ssm-agen | ssm-agent-worke | ssm-document-wo | ssm-session-wor) kind=agent ;;
        patroni | python*)
            tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -q '\(^\|/\)patroni$' || continue
            tr '\0' '\n' <"$process/cmdline" | sed -n 's/^\(\/.*\.ya\{0,1\}ml\)$/patroni\t\1/p'
            continue
            ;;
        *) continue ;;
        esac
        for file in "$process"/exe "$process"/fd/*; do
            file=$(readlink "$file" 2>/dev/null) && [ -f "$file" ] && printf '%s\t%s\n' "$kind" "$file"
        done
    done
    for program in sh sleep mv rm date fsfreeze setsid cat; do
        file=$(command -v "$program") && printf 'programs\t%s\n' "$file"
    done
    awk '$6 ~ /^\// { print "programs\t" $6 }' "/proc/$$/maps" | sort -u
    [ ! -f "$0" ] || printf 'programs\t%s\n' "$0"
    for file in 1 2; do
        file=$(readlink "/proc/$$/fd/$file") && [ -e "$file" ] && printf 'output\t%s\n' "$file"
    done
    printf 'state\t%s\n' "${STATE_DIR:-/run}"
}

# The same in survey.sh and freeze.sh: the kinds of `vital` that lie on the file system of this device number, from a file that has
# what `vital_mounts` prints.
vital_mounts() {
    vital | sort -u | while IFS="$tab" read -r kind path; do
        found=$(mount_of "$path") && printf '%s\t%s\n' "${found%%"$tab"*}" "$kind"
    done | sort -u
}
tab=$(printf '\t')

# The postmaster that listens on the port, with the data directory that is expected where there are several: its process id and where
# it is asked. Its working directory is its data directory.
postmaster() {
    pid=
    for process in $(pgrep -x 'postgres|postmaster'); do
        file=/proc/$process/cwd/postmaster.pid
        # Its lines: process id, data directory, start time, port, socket directory, listen address (storage.sgml).
        [ "$(sed -n 1p "$file" 2>/dev/null)" = "$process" ] && [ "$(sed -n 4p "$file")" = "$port" ] || continue
        pid=$process
        host=$(sed -n 5p "$file")
        [ -n "$host" ] || host=$(sed -n 6p "$file")
        case $host in '' | '*' | 0.0.0.0) host=127.0.0.1 ;; esac
        [ -n "${DATA_DIR:-}" ] || return 0
        [ "$(realpath -- "$DATA_DIR" 2>/dev/null)" != "$(readlink "/proc/$pid/cwd")" ] || return 0
    done
    [ -n "$pid" ]
}

# As the account that owns the postmaster, which PostgreSQL lets in by its name (peer).
sql() {
    set -- "$psql" -X -A -t -q -v ON_ERROR_STOP=1 -h "$host" -p "$port" -d postgres "$@"
    [ "$(id -u)" = "$(id -u "$owner")" ] || set -- runuser -u "$owner" -- "$@"
    cd / && PGCONNECT_TIMEOUT=10 PGOPTIONS='-c statement_timeout=10s' "$@" 2>"$errors" </dev/null
}

said() {
    tr '\n' ' ' <"$errors" | sed 's/ *$//'
}

checkpoint() {
    case ${CHECKPOINT:-no} in
    yes) ;;
    no)
        line checkpoint skipped
        return
        ;;
    *) stop "CHECKPOINT must be yes or no" ;;
    esac
    if sql -c "SET statement_timeout = '${CHECKPOINT_LIMIT:-60}s'" -c CHECKPOINT; then
        line checkpoint "done"
    else
        line checkpoint "failed: $(said)"
    fi
}

# Kind, path
place() {
    path=$(realpath -e -- "$2" 2>/dev/null) || stop "$2 ($1) does not exist"
    found=$(mount_of "$path") || stop "no mount holds $path"
    point=$(printf '%s' "$found" | cut -f 3)
    line place "$1" "$(encode "$path")" "$point"
    printf '%s\n' "$found" >>"$mounts"
}

# A device of the kernel, as in /dev: the disks below it, whatever lies between (partitions, LVM, md, dm-crypt).
disks_below() {
    lsblk --inverse --noheadings --pairs --output KNAME,TYPE,SERIAL,MODEL "$1" 2>"$errors" |
        sed -n 's/^KNAME="\([^"]*\)" TYPE="\(disk\|loop\)" SERIAL="\([^"]*\)" MODEL="\([^"]*\)".*/\1|\3|\4/p' | sort -u
}

# The NVMe serial of an EBS volume is its id without the dash (EBS user guide, "Map Amazon EBS volumes to NVMe device names"). A Xen
# disk has none.
disks() {
    disks_below "$1" | while IFS='|' read -r device serial model; do
        [ -n "$serial" ] || read -r serial 2>/dev/null <"/sys/block/$device/device/serial" || serial=
        [ -n "$model" ] || read -r model 2>/dev/null <"/sys/block/$device/device/model" || model=
        kind=other
        volume=-
        case $serial in
        vol*)
            kind=ebs
            volume=${serial#vol}
            volume=vol-${volume#-}
            ;;
        *) case $model in *Instance?Storage* | *Instance\\x20Storage*) kind=instance-store ;; esac ;;
        esac
        printf '%s\t/dev/%s\t%s\n' "$volume" "$device" "$kind"
    done
}

# Pool, mount point
pool() {
    command -v zpool >/dev/null || stop "$2 is of the pool $1, and the program zpool is missing"
    zpool status -P -L "$1" 2>"$errors" >"$work/pool" || stop "zpool status $1: $(said)"
    awk -F'\t' -v pool="$1" '
        /^config:/ { config = 1; next }
        /^errors:/ { config = 0 }
        !config || NF < 2 { next }
        {
            depth = match($2, /[^ ]/) - 1
            split(substr($2, depth + 1), word, " ")
            if (depth == 0) {
                role = word[1] == pool ? "data" : word[1]
                if (role == "logs") role = "log"
                if (role == "spares") role = "spare"
            } else if (word[1] ~ /^\//) print role "\t" word[1]
        }' "$work/pool" >"$work/vdevs"
    [ -s "$work/vdevs" ] || stop "zpool status $1 names no device"
    while IFS="$tab" read -r role device; do
        disks "$device" >"$work/below"
        [ -s "$work/below" ] || stop "no disk is found below $device of the pool $1"
        # What is in a cache is elsewhere, too.
        case $role in cache | spare) ;; *) cat "$work/below" >>"$work/disks" ;; esac
        while IFS="$tab" read -r volume disk kind; do
            line vdev "$1" "$role" "$volume" "$disk"
        done <"$work/below"
    done <"$work/vdevs"
}

# A line of mount_of. A file system may be of several devices.
devices() {
    printf '%s\n' "$source" >"$work/devices"
    printf '%s\n' "$1" | cut -f 5 | tr ',' '\n' | sed -n 's/^\(logdev\|rtdev\)=//p' >>"$work/devices"
    if [ "$type" = btrfs ]; then
        name=$(basename "$(realpath -- "$source")")
        for of in /sys/fs/btrfs/*/devices/"$name"; do
            [ -e "$of" ] || continue
            for each in "${of%/*}"/*; do printf '/dev/%s\n' "${each##*/}"; done >>"$work/devices"
        done
    fi
    while read -r device; do
        disks "$device" >"$work/below"
        [ -s "$work/below" ] || stop "no disk is found below $device, which is mounted at $point: $(said)"
        cat "$work/below" >>"$work/disks"
    done <"$work/devices"
}

# A line of mount_of
mounted() {
    type=$(printf '%s' "$1" | cut -f 2)
    point=$(printf '%s' "$1" | cut -f 3)
    source=$(printf '%s' "$1" | cut -f 4)
    line mount "$point" "$type"
    : >"$work/disks"
    # The kernel's own name, where the file system has one device. btrfs and ZFS have a number that is no device's.
    if device=$(readlink "/sys/dev/block/${1%%"$tab"*}"); then source=/dev/${device##*/}; fi
    case $type:$source in
    zfs:*) pool "${source%%/*}" "$point" ;;
    *:/dev/*) devices "$1" ;;
    *) printf '%s\t%s\t%s\n' - "$source" other >>"$work/disks" ;;
    esac
    sort -u "$work/disks" | while IFS="$tab" read -r volume disk kind; do
        line disk "$point" "$volume" "$disk" "$kind"
    done
}

# What a server that runs says.
running() {
    postmaster || stop "no PostgreSQL listens on port $port"
    owner=$(stat -c %U "/proc/$pid")
    psql=$(dirname "$(readlink "/proc/$pid/exe")")/psql
    [ -x "$psql" ] || psql=$(command -v psql) || stop "the program psql is missing"
    checkpoint
    # Both before the values: a checkpoint moves them.
    values=$(sql -F "$tab" -c "
        SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'leader' END,
            current_setting('server_version_num'), current_setting('full_page_writes'), s.system_identifier, c.redo_lsn,
            CASE WHEN pg_is_in_recovery()
                THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), c.timeline_id)
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
        FROM pg_control_system() AS s, pg_control_checkpoint() AS c") || stop "PostgreSQL does not answer: $(said)"
    IFS="$tab" read -r role version full_page_writes system redo timeline <<VALUES
$values
VALUES
    line role "$role"
    # A leader is nobody's standby.
    if [ "$role" = leader ]; then line synchronous no; else line synchronous unknown; fi
    line system "$system"
    line timeline "$timeline"
    line version "$version"
    line redo "$redo"
    line full_page_writes "$full_page_writes"
    data=$(sql -c 'SHOW data_directory') || stop "PostgreSQL does not tell its data directory: $(said)"
    [ -z "${DATA_DIR:-}" ] || [ "$(realpath -- "$DATA_DIR" 2>/dev/null)" = "$(realpath -- "$data")" ] ||
        stop "the data directory is $data, not $DATA_DIR"
    line data "$(encode "$data")"
    place data "$data"
    place wal "$data/pg_wal"
    tablespaces=$(sql -c "SELECT oid FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''") ||
        stop "PostgreSQL does not tell its tablespaces: $(said)"
    for oid in $tablespaces; do place "$oid" "$data/pg_tblspc/$oid"; done
}

control() {
    sed -n "s/^$1: *//p" "$work/control"
}

# What a server that was stopped cleanly has left.
stopped() {
    [ -n "${DATA_DIR:-}" ] || stop "PostgreSQL has stopped, and DATA_DIR is not given"
    data=$(realpath -e -- "$DATA_DIR" 2>/dev/null) || stop "$DATA_DIR does not exist"
    major=$(cat "$data/PG_VERSION" 2>/dev/null) || stop "$data is no data directory of PostgreSQL"
    program=/usr/lib/postgresql/$major/bin/pg_controldata
    [ -x "$program" ] || program=/usr/pgsql-$major/bin/pg_controldata
    [ -x "$program" ] || program=$(command -v pg_controldata) || stop "the program pg_controldata is missing"
    pid=$(sed -n 1p "$data/postmaster.pid" 2>/dev/null)
    [ -z "$pid" ] || [ ! -e "/proc/$pid" ] || stop "PostgreSQL runs on $data still"
    "$program" "$data" >"$work/control" 2>"$errors" || stop "$program: $(said)"
    state=$(control 'Database cluster state')
    case $state in 'shut down' | 'shut down in recovery') ;; *) stop "PostgreSQL was not stopped cleanly: $state" ;; esac
    sync -f "$data"
    line checkpoint "done"
    if [ -e "$data/standby.signal" ]; then line role replica; else line role leader; fi
    line synchronous no
    line system "$(control 'Database system identifier')"
    line timeline "$(control "Latest checkpoint's TimeLineID")"
    line version "$((${major%%.*} * 10000))"
    line redo "$(control "Latest checkpoint's REDO location")"
    line full_page_writes "$(control "Latest checkpoint's full_page_writes")"
    line data "$(encode "$data")"
    place data "$data"
    place wal "$data/pg_wal"
    for link in "$data"/pg_tblspc/*; do
        [ ! -e "$link" ] && [ ! -L "$link" ] || place "${link##*/}" "$link"
    done
}

main() {
    line survey 1
    for program in awk cut id lsblk mktemp pgrep readlink realpath runuser sed seq sort tr; do
        command -v $program >/dev/null || stop "the program $program is missing"
    done
    port=${PORT:-5432}
    work=$(mktemp -d) || stop "no folder for temporary files could be made"
    trap 'rm -rf "$work"' EXIT
    errors=$work/errors
    mounts=$work/mounts
    : >"$errors"
    : >"$mounts"
    case ${STOPPED:-no} in
    no) running ;;
    yes) stopped ;;
    *) stop "STOPPED must be yes or no" ;;
    esac
    sort -u "$mounts" >"$work/places"
    while IFS= read -r found; do mounted "$found"; done <"$work/places"
    # What is to be frozen may hold no data.
    cp "$work/places" "$work/all"
    while IFS= read -r mount; do
        [ -n "$mount" ] || continue
        found=$(mount_of "$mount") || stop "$mount does not exist"
        [ "$(printf '%s' "$found" | cut -f 3)" = "$(encode "$(realpath -- "$mount")")" ] || stop "$mount is not a mount point"
        printf '%s\n' "$found" >>"$work/all"
    done <<MOUNTS
${MOUNTS:-}
MOUNTS
    vital_mounts >"$work/vital"
    sort -u "$work/all" | while IFS= read -r found; do
        point=$(printf '%s' "$found" | cut -f 3)
        while IFS="$tab" read -r device kind; do
            [ "$device" != "${found%%"$tab"*}" ] || line holds "$point" "$kind"
        done <"$work/vital"
    done
    line end
}

main
