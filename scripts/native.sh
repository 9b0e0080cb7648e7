# shellcheck shell=bash
# The server and the worker that `make up` runs without Docker: who they are and how they end.
# For `source`, from the root of the repository.

die() { printf '%s\n' "$*" >&2; exit 1; }

# The process id of a role, if that process still is one of ours.
native_pid() {
    local id
    id=$(cat ".pulse/$1.pid" 2>/dev/null) && [[ $id ]] || return 1
    [[ $(readlink "/proc/$id/exe" 2>/dev/null) == */pulse-"$1"* ]] && printf '%s' "$id"
}

signal_native() {
    local id
    if id=$(native_pid "$1"); then kill -s TERM "$id" || true; fi
}

# Each takes its time to hand over what it has in hand: SHUTDOWN_TIMEOUT_SECONDS, 25 by default.
end_native() {
    local role
    for role in worker server; do signal_native $role; done
    for role in worker server; do
        while native_pid $role >/dev/null; do sleep 0.1; done
        rm -f .pulse/$role.pid
    done
}
