#!/usr/bin/env bash
# Sets Pulse up and runs it, server and one worker, on real stores.
#
# With a Docker engine: in containers, in the background. Without, or with NATIVE=1: on private
# servers in .pulse/services, in the foreground until Ctrl-C; the data stays for the next time.
# Where DATABASE_URL, REDIS_URL and CLICKHOUSE_DSN are all set, on the servers they name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/native.sh
source scripts/native.sh

docker_answers() {
    [[ ! ${NATIVE:-} ]] && timeout 10 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

servers_are_given() { [[ ${DATABASE_URL:-} && ${REDIS_URL:-} && ${CLICKHOUSE_DSN:-} ]]; }

# A setting as the programs see it: from the environment, else from .env, else the default.
setting() {
    local value=${!1:-}
    if [[ ! $value && -r .env ]]; then value=$(sed -n "s/^$1=//p" .env | tail -n 1); fi
    printf '%s' "${value:-$2}"
}

announce() {
    local url
    url=http://127.0.0.1:$(setting PORT 8080)
    cat <<END

Pulse listens on $url, its documentation is at $url/docs
$1

A first check:
  curl -sS $url/checks -H 'content-type: application/json' \\
    -d '{"name": "Example", "url": "https://example.com", "interval_seconds": 10}'

END
}

up_in_containers() {
    docker compose up --build --detach --wait
    announce "It runs in containers. Watch: docker compose logs --follow. End it: make down"
}

up_natively() {
    local role
    for role in server worker; do
        if native_pid $role >/dev/null; then die "a $role is running already; end it: make down"; fi
    done
    mkdir -p .pulse
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap finish EXIT
    servers_are_given || bring_up_private_servers
    cargo build --release --package pulse-server --package pulse-worker
    launch server
    launch worker
    announce "Its logs are .pulse/server.log and .pulse/worker.log. End it: Ctrl-C"
    wait -n || true
    die "Pulse has ended; its last words are in .pulse/server.log and .pulse/worker.log"
}

private=
bring_up_private_servers() {
    scripts/setup.sh services
    private=yes
    PULSE_SERVICES_FSYNC=on scripts/services.sh up .pulse/services
    set -a
    eval "$(scripts/services.sh env .pulse/services)"
    set +a
}

# Detached: Ctrl-C must reach it once, through `finish`. Twice means: at once.
launch() {
    local role=$1 binary=${CARGO_TARGET_DIR:-target}/release/pulse-$1 deadline=$((SECONDS + 60)) id
    setsid "$binary" </dev/null >>".pulse/$role.log" 2>&1 &
    id=$!
    printf '%s\n' "$id" >".pulse/$role.pid"
    sleep 0.2
    until "$binary" --healthcheck >/dev/null 2>&1; do
        ((SECONDS < deadline)) || break
        kill -0 "$id" 2>/dev/null || break
        sleep 0.2
    done
    # Still there, that is: what answered was not somebody else on the same port.
    if ! kill -0 "$id" 2>/dev/null || ((SECONDS >= deadline)); then
        tail -n 20 ".pulse/$role.log" >&2
        die "the $role did not come up; see .pulse/$role.log"
    fi
}

finish() {
    # Asked again, they leave at once.
    trap 'signal_native worker; signal_native server' HUP INT TERM
    end_native
    trap '' HUP INT TERM
    [[ ! $private ]] || scripts/services.sh down .pulse/services
}

if docker_answers; then up_in_containers; else up_natively; fi
