#!/bin/sh
# Freezes file systems of a database node for the moment of a snapshot, thaws them, and tells whether they stayed frozen until then.
#
# VERB       freeze, thaw, or tell (what thaw told, without thawing)
# TOKEN      names this freeze: letters, digits, `.`, `_` and `-`
# MOUNTS     mount points, a line for each                                     (freeze)
# NOT_AFTER  seconds since 1970, after which nothing is frozen any more        (freeze)
# LIMIT      whole seconds, at most 5: each file system thaws by then           (freeze)
# STATE_DIR  where it keeps what it knows; /run/pilothouse where unset
#
# A process of its own for each file system, in nobody's session, freezes and thaws it, and another one thaws it should that one be
# killed. All of them are ready before the first one freezes, and each counts its time from when it was ready: nothing that ends or
# hangs keeps a file system frozen.
# The kernel says who thawed: of any number of tries to thaw one freeze, one succeeds (the others: EINVAL).
#
# Prints lines of fields between tabs; in paths `%`, tab and newline are %25, %09 and %0A:
#   frozen   mount, seconds since 1970 with three decimals
#   mount    mount, still|early|failed, frozen at, thawed at (`-`: unknown, or not yet)
#   refused  why nothing was frozen, or why what was is thawed again
#   end      always the last line
# Ends with 0; 2: too late; 3: refused; 4: one could not be frozen, all are thawed; 5: not known to be thawed; 6: no such freeze.
set -u
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
base=${STATE_DIR:-/run/pilothouse}
state=$base/freeze-${TOKEN:-}

line() {
    format=%s
    for _ in $(seq 2 $#); do format="$format\t%s"; done
    # shellcheck disable=SC2059 # made right here
    printf "$format\n" "$@"
}

# What, status
leave() {
    [ -z "$1" ] || line refused "$1"
    line end
    exit "$2"
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

# Hundredths of a second since boot: a clock that nobody sets.
ticks() {
    read -r up _ </proc/uptime
    up=${up%.*}${up#*.}
}

# Until it is so for each file system, or seconds are over.
await() {
    ticks
    until=$((up + $2 * 100))
    for each in "$state"/fs.*; do
        while ! "$1" "$each"; do
            ticks
            [ "$up" -lt $until ] || return 1
            sleep 0.02
        done
    done
}

# shellcheck disable=SC2329 # for await
is_armed() { [ -e "$1/armed" ] && [ -e "$1/guard" ]; }
# shellcheck disable=SC2329 # for await
is_settled() { [ -e "$1/frozen" ] || [ -e "$1/refused" ] || is_over "$1"; }
is_answered() { [ -e "$1/answer" ] || is_over "$1"; }
is_over() { [ -e "$1/over" ]; }
is_idle() { is_over "$1" || ! alive "$1"; }

thawer() {
    cat <<'THAWER'
trap '' HUP INT TERM PIPE
cd "$1" || exit
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
# Nothing else has the time that a freeze may take.
{ echo -1000 >/proc/self/oom_score_adj; } 2>/dev/null
ticks() {
    read -r up _ </proc/uptime
    up=${up%.*}${up#*.}
}
ticks
# To thaw takes time, too. The guard comes after the one that it guards.
deadline=$((up + $(cat limit) * 100 - 20))
[ "$2" = thaw ] || deadline=$((deadline + 15))
over() {
    ticks
    [ "$up" -ge "$deadline" ] || [ -e stop ]
}
# Held open: whatever is mounted over it later, this is the file system.
exec 3<"$(cat path)"
flying() {
    { read -r freezer <freezer && read -r _ _ run _ <"/proc/$freezer/stat"; } 2>/dev/null && [ "$run" != Z ]
}
note() {
    date +%s.%3N >"$1.new"
    mv "$1.new" "$1"
}
finish() {
    # Another process may have its number by now, and one that was killed keeps it until somebody asks how it ended.
    [ "$2" = thaw ] || [ "$(readlink "/proc/$(cat armed)/cwd" 2>/dev/null)" != "$(pwd -P)" ] || exit
    # A command that thaws at this moment has yet to note what it saw.
    rounds=0
    while [ -d claim ] && [ ! -e answer ] && [ "$rounds" -lt 200 ]; do
        sleep 0.05
        rounds=$((rounds + 1))
    done
    : >over
    [ "$(readlink "$(cat lock)")" != "$(cat token)" ] || rm -f "$(cat lock)"
    exit 0
}
# A freeze that is still under way refuses to be thawed (EINVAL), and is there afterwards.
thaw() {
    rounds=0
    while :; do
        landed=yes
        flying && landed=
        if fsfreeze --unfreeze /proc/self/fd/3 2>"error.$1"; then
            note thawed
            [ -z "$landed" ] || return
        else
            read -r said <"error.$1"
            case $landed$said in yes*Invalid\ argument*) return ;; esac
        fi
        rounds=$((rounds + 1))
        if [ "$rounds" -lt 200 ]; then sleep 0.02; else sleep 1; fi
    done
}

if [ "$2" = guard ]; then
    echo $$ >guard.new
    mv guard.new guard
    until [ -e over ] || [ -e answer ] || [ ! -e token ]; do
        ticks
        if [ "$up" -ge "$deadline" ]; then
            [ ! -e freezer ] || thaw guard
            finish "$@"
        fi
        sleep 0.05
    done
    exit
fi

echo $$ >armed.new
mv armed.new armed
until [ -e go ]; do
    over && finish "$@"
    sleep 0.02
done
over && finish "$@"
[ "$(date +%s)" -le "$(cat not_after)" ] || {
    : >late
    finish "$@"
}
fsfreeze --freeze /proc/self/fd/3 2>error &
echo $! >freezer
while flying && ! over; do sleep 0.01; done
if ! flying; then
    wait "$(cat freezer)"
    status=$?
    if [ "$status" = 0 ]; then
        note frozen
    elif [ "$status" -lt 128 ]; then
        # Not ours, if it is frozen at all.
        mv error refused
        finish "$@"
    fi
    until [ -e answer ] || over; do sleep 0.02; done
    [ ! -e answer ] || finish "$@"
fi
thaw thaw
finish "$@"
THAWER
}

alive() {
    { read -r pid <"$1/armed"; } 2>/dev/null && [ "$(readlink "/proc/$pid/cwd")" = "$(realpath "$1")" ]
}

# Whether an earlier freeze is not over yet.
busy() {
    for other in "$1"/fs.*; do
        [ -e "$other/over" ] || ! alive "$other" || return 0
    done
    [ ! -e "$1/fs.0/armed" ] && [ -n "$(find "$1" -maxdepth 0 -mmin -1 2>/dev/null)" ]
}

# Device number, mount point
take() {
    lock=$base/on-$1
    ln -s "$TOKEN" "$lock" 2>/dev/null && return
    owner=$(readlink "$lock")
    busy "$base/freeze-$owner" && return 1
    rm -f "$lock"
    ln -s "$TOKEN" "$lock" 2>/dev/null
}

# Gives back all that was taken without a process to do so.
undo() {
    for each in "$state"/fs.*; do
        [ -e "$each/lock" ] && [ "$(readlink "$(cat "$each/lock")")" = "$TOKEN" ] && rm -f "$(cat "$each/lock")"
    done
    rm -rf "$state"
}

refuse() {
    for each in "$state"/fs.*; do
        [ -d "$each" ] && : >"$each/stop"
    done
    await is_idle 3
    undo
    leave "$@"
}

# Reads the mounts of the spec, checks them, and makes a folder for each file system.
prepare() {
    vital_mounts >"$state/vital"
    number=0
    while IFS= read -r mount; do
        [ -n "$mount" ] || continue
        found=$(mount_of "$mount") || refuse "$mount does not exist" 3
        device=${found%%"$tab"*}
        found=${found#*"$tab"}
        found=${found#*"$tab"}
        [ "${found%%"$tab"*}" = "$(encode "$(realpath -- "$mount")")" ] || refuse "$mount is not a mount point" 3
        kinds=$(awk -v device="$device" '$1 == device { printf "%s%s", separator, $2; separator = ", " }' "$state/vital")
        [ -z "$kinds" ] || refuse "$mount must not be frozen: it holds what must go on ($kinds)" 3
        if grep -qsxF "$device" "$state"/fs.*/device; then
            # Bound to two places, it is frozen once and told for both.
            same=$(grep -lxF "$device" "$state"/fs.*/device)
            encode "$mount" | grep -qxFf - "${same%/*}/mounts" || { encode "$mount"; echo; } >>"${same%/*}/mounts"
            continue
        fi
        fs=$state/fs.$number
        number=$((number + 1))
        mkdir "$fs" || refuse "could not make $fs" 3
        printf '%s\n' "$device" >"$fs/device"
        { encode "$mount"; echo; } >"$fs/mounts"
        printf '%s\n' "$mount" >"$fs/path"
        printf '%s\n' "$LIMIT" >"$fs/limit"
        printf '%s\n' "$NOT_AFTER" >"$fs/not_after"
        printf '%s\n' "$TOKEN" >"$fs/token"
        printf '%s\n' "$base/on-$device" >"$fs/lock"
        take "$device" || refuse "$mount: the freeze $(readlink "$base/on-$device") is not over" 3
    done <<MOUNTS
$MOUNTS
MOUNTS
    [ $number -gt 0 ] || refuse "no mount point is given" 3
}

# In no session and no control group of whoever sent this.
arm() {
    thawer >"$state/thawer"
    for each in "$state"/fs.*; do
        for role in thaw guard; do
            if command -v systemd-run >/dev/null && timeout 5 systemd-run --quiet --unit="pilothouse-$role-$TOKEN-${each##*.}" \
                /bin/sh "$state/thawer" "$each" $role </dev/null >/dev/null 2>&1; then
                continue
            fi
            # Not everything has systemd.
            setsid /bin/sh "$state/thawer" "$each" $role </dev/null >/dev/null 2>&1 &
        done
    done
    await is_armed 5
}

freeze() {
    for program in fsfreeze setsid timeout awk realpath readlink sleep seq; do
        command -v $program >/dev/null || leave "the program $program is missing" 3
    done
    case ${LIMIT:-} in [1-5]) ;; *) leave "LIMIT must be a whole number of seconds, 1 to 5" 3 ;; esac
    case ${NOT_AFTER:-} in '' | *[!0-9]*) leave "NOT_AFTER must be seconds since 1970" 3 ;; esac
    [ -n "${MOUNTS:-}" ] || leave "no mount point is given" 3
    late="too late: it is after $NOT_AFTER"
    [ "$(date +%s)" -le "$NOT_AFTER" ] || leave "$late" 2
    mkdir -p "$base" || leave "could not make $base" 3
    find "$base" -maxdepth 1 -name 'freeze-*' -mmin +1440 -exec rm -rf {} + 2>/dev/null
    mkdir "$state" 2>/dev/null || leave "there has been a freeze $TOKEN, or $base cannot be written" 3
    prepare
    # What is written now need not be while all wait. Then the clock starts.
    for each in "$state"/fs.*; do
        sync -f "$(cat "$each/path")"
    done
    arm || refuse "what thaws is not armed, so nothing is frozen" 3
    for each in "$state"/fs.*; do
        : >"$each/go"
    done
    await is_settled "$LIMIT"
    why=
    code=4
    for each in "$state"/fs.*; do
        [ -e "$each/frozen" ] && continue
        read -r mount <"$each/mounts"
        why="$why${why:+; }$mount could not be frozen: "
        if [ -e "$each/refused" ]; then
            why="$why$(cat "$each/refused")"
        elif [ -e "$each/late" ]; then
            why=$why$late
            code=2
        else
            why="${why}it took too long"
        fi
    done
    if [ -z "$why" ]; then
        for each in "$state"/fs.*; do
            while read -r mount; do
                line frozen "$mount" "$(cat "$each/frozen")"
            done <"$each/mounts"
        done
        leave '' 0
    fi
    for each in "$state"/fs.*; do
        : >"$each/stop"
    done
    if await is_over "$((LIMIT + 5))"; then
        undo
        leave "$why" "$code"
    fi
    leave "$why; not known to be thawed again: $(for each in "$state"/fs.*; do [ -e "$each/over" ] || cat "$each/mounts"; done)" 5
}

# The one who makes the claim thaws; everybody else reads what came of it.
thaw_one() {
    if ! mkdir "$1/claim" 2>/dev/null; then
        rounds=0
        until is_answered "$1" || [ $rounds -ge 100 ]; do
            sleep 0.05
            rounds=$((rounds + 1))
        done
        ! is_answered "$1" || return
    fi
    read -r path <"$1/path"
    alive "$1" && path=/proc/$pid/fd/3
    verdict=early
    if [ ! -e "$1/frozen" ]; then
        # It may be about to freeze. Its own process knows.
        : >"$1/stop"
    elif [ ! -e "$1/thawed" ]; then
        if fsfreeze --unfreeze "$path" 2>"$1/said"; then
            date +%s.%3N >"$1/thawed"
            verdict=still
        else
            read -r said <"$1/said"
            case $said in *Invalid\ argument*) ;; *) verdict=failed ;; esac
        fi
    fi
    # Its own process is about to note that it thawed, where it did.
    rounds=0
    while [ $verdict = early ] && [ ! -e "$1/thawed" ] && ! is_idle "$1" && [ $rounds -lt 20 ]; do
        sleep 0.05
        rounds=$((rounds + 1))
    done
    printf '%s\n' $verdict >"$1/answer.new"
    mv "$1/answer.new" "$1/answer"
}

tell() {
    for each in "$state"/fs.*; do
        frozen=-
        thawed=-
        { read -r frozen <"$each/frozen"; } 2>/dev/null
        { read -r thawed <"$each/thawed"; } 2>/dev/null
        verdict=early
        if [ -e "$each/answer" ]; then
            read -r verdict <"$each/answer"
        elif [ "$VERB" = thaw ] && ! is_over "$each"; then
            verdict=failed
        elif [ "$frozen" != - ] && [ "$thawed" = - ] && ! is_over "$each"; then
            verdict=still
        fi
        [ "$verdict" != failed ] || worst=5
        while read -r mount; do
            line mount "$mount" "$verdict" "${frozen:--}" "${thawed:--}"
        done <"$each/mounts"
    done
}

main() {
    case ${TOKEN:-} in '' | .* | *[!A-Za-z0-9._-]*) leave "TOKEN must be of letters, digits, '.', '_' and '-'" 3 ;; esac
    case ${VERB:-} in
    freeze) freeze ;;
    thaw | tell)
        [ -e "$state/fs.0/mounts" ] || leave "there is no freeze $TOKEN" 6
        worst=0
        if [ "$VERB" = thaw ]; then
            # One that hangs does not keep the others.
            for each in "$state"/fs.*; do
                thaw_one "$each" </dev/null >/dev/null 2>&1 &
            done
            await is_answered 10
        fi
        tell
        leave '' "$worst"
        ;;
    *) leave "VERB must be freeze, thaw or tell" 3 ;;
    esac
}

main
