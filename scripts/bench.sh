#!/usr/bin/env bash
# Measures Pulse on stores of its own: PostgreSQL, Redis and ClickHouse, started for it and destroyed
# after it. Where it runs as root, everything stands in a network namespace made for it, so that no
# firewall of the machine counts its connections. Arguments go to `pulse bench`.
#
# PostgreSQL syncs its log here, as it would for users.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PULSE_SERVICES_FSYNC=on

# Inside: nothing but a loopback of its own. Ports are many and come back soon, as thousands of fresh
# connections a second to the same address need it.
if [[ ${1:-} == --inside ]]; then
    shift
    if [[ ${PULSE_BENCH_NAMESPACE:-} ]]; then
        ip link set lo up
        sysctl -qw net.ipv4.ip_local_port_range='10000 65000' net.ipv4.tcp_tw_reuse=1
    fi
    dir=$(mktemp -d "${TMPDIR:-/tmp}/pulse-bench-stores.XXXXXX")
    # Undisturbed: a second Ctrl-C must not leave half of them running.
    trap 'trap "" HUP INT TERM; scripts/services.sh destroy "$dir"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scripts/services.sh up "$dir"
    set -a
    eval "$(scripts/services.sh env "$dir")"
    set +a
    given=(--stores)
    if commit=$(git describe --always --dirty 2>/dev/null); then given+=(--commit "$commit"); fi
    if peer=$(type -P prometheus-blackbox-exporter); then given+=(--peer "$peer"); fi
    "${PULSE_BIN_DIR:-target/release}/pulse" bench "${given[@]}" "$@"
    exit
fi

[[ ${PULSE_BIN_DIR:-} ]] || {
    scripts/setup.sh tests
    cargo build --release --package pulse
}

if ((EUID == 0)) && unshare --net true 2>/dev/null; then
    export PULSE_BENCH_NAMESPACE=yes
    exec unshare --net "$PWD/scripts/bench.sh" --inside "$@"
fi
exec scripts/bench.sh --inside "$@"
