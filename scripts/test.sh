#!/usr/bin/env bash
# Runs the tests on real servers: on those named by DATABASE_URL, REDIS_URL and CLICKHOUSE_DSN when
# all three are set, else on private ones that live as long as the run. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

servers_are_given() { [[ ${DATABASE_URL:-} && ${REDIS_URL:-} && ${CLICKHOUSE_DSN:-} ]]; }

bring_up_private_servers() {
    scripts/setup.sh tests
    dir=$(mktemp -d "${TMPDIR:-/tmp}/pulse-test.XXXXXX")
    # Undisturbed: a second Ctrl-C must not leave half of them running.
    trap 'trap "" HUP INT TERM; scripts/services.sh destroy "$dir"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scripts/services.sh up "$dir"
    set -a
    eval "$(scripts/services.sh env "$dir")"
    set +a
}

if servers_are_given; then
    echo "testing on the servers named in the environment" >&2
else
    bring_up_private_servers
fi

locked=()
[[ ! ${CI:-} ]] || locked=(--locked)

# The fault tests start the real binaries.
cargo build "${locked[@]}" --workspace --bins
cargo test "${locked[@]}" --workspace --no-fail-fast "$@"
