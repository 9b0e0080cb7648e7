#!/usr/bin/env bash
# Runs the tests on real servers: on those named by DATABASE_URL, REDIS_URL and CLICKHOUSE_DSN when
# all three are set, else on private ones that live as long as the run.
#
#   test.sh           all of them, most of them in two lanes side by side: see lanes.py
#   test.sh ARG...    those that `cargo test ARG...` runs, one program after another
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

# Goes through to the end, then says what failed.
all_in_lanes() {
    local built failed=()
    built=$(cargo test "${locked[@]}" --workspace --no-run --message-format json-render-diagnostics)
    build_programs
    cargo test "${locked[@]}" --workspace --no-fail-fast --doc || failed+=(doctests)
    scripts/lanes.py <<<"$built" || failed+=(lanes)
    ((${#failed[@]} == 0)) || { echo "test: failed: ${failed[*]}" >&2; return 1; }
}

# The real ones, which the fault tests start. `cargo test` puts others in their place, with features for tests.
build_programs() { cargo build "${locked[@]}" --workspace --bins; }

if servers_are_given; then
    echo "testing on the servers named in the environment" >&2
else
    bring_up_private_servers
fi

locked=()
[[ ! ${CI:-} ]] || locked=(--locked)

if (($#)); then
    build_programs
    cargo test "${locked[@]}" --workspace --no-fail-fast "$@"
else
    all_in_lanes
fi
