#!/usr/bin/env bash
# Everything CI holds the code to, save the tests. Goes through to the end, then says what failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh lint
PATH=${PULSE_CACHE:-$HOME/.cache/pulse}/bin:$PATH

failed=()

step() {
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

compose_files() {
    local file
    for file in docker-compose.yml docker-compose.infrastructure.yml; do
        docker-compose --file "$file" config --quiet || return
    done
}

# Not `advisories`: they need a database from the network, which is not everywhere.
dependencies() { cargo deny check licenses bans sources; }

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps; }

step fmt cargo fmt --all --check
step clippy cargo clippy --workspace --all-targets -- -D warnings
step docs docs
# A workspace of its own: nothing else would notice that it no longer compiles. What both need is there already.
step fuzz env CARGO_TARGET_DIR="$PWD/target" cargo check --quiet --manifest-path fuzz/Cargo.toml --bins
step deny dependencies
step shellcheck shellcheck scripts/*.sh .ci/run
step hadolint hadolint Dockerfile.server Dockerfile.worker
step compose compose_files
step mutations scripts/mutations.sh --lint

if ((${#failed[@]})); then
    printf 'lint: failed: %s\n' "${failed[*]}"
    exit 1
fi
echo "lint: all good"
