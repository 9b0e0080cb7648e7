#!/usr/bin/env bash
# Private PostgreSQL, Redis and ClickHouse for development and tests, without Docker.
#
#   services.sh up DIR               start what is not running, in DIR
#   services.sh down DIR             stop what runs in DIR; the data stays
#   services.sh destroy DIR          stop, and delete the data
#   services.sh start DIR SERVICE    one of: postgres redis clickhouse
#   services.sh stop DIR SERVICE
#   services.sh env DIR              print DATABASE_URL, REDIS_URL and CLICKHOUSE_DSN
#
# They listen on 127.0.0.1 only, without passwords. The ports are picked at the first start and kept
# in DIR/SERVICE.port, so a service that was killed comes back at the same address with its data.
# DIR/SERVICE.pid holds the process id, DIR/SERVICE.log the last words.
#
# PostgreSQL skips fsync, which survives kill -9 but not a power cut; PULSE_SERVICES_FSYNC=on
# does not skip it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly here
readonly cache=${PULSE_CACHE:-$HOME/.cache/pulse}
readonly libchdb=$cache/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
readonly services=(postgres redis clickhouse)
readonly start_seconds=40 stop_seconds=15

say() { printf '%s\n' "$*" >&2; }
die() { say "services: $*"; exit 1; }

# --- where things are -----------------------------------------------------------------------------

# Follows the link that `reachable_by_postgres` may have laid.
home() { readlink -f "$dir/$1"; }

port() { cat "$dir/$1.port" 2>/dev/null; }

# Debian and Red Hat keep the server's programs out of PATH, a directory for each version.
postgres_bin() {
    local found
    found=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' || compgen -G '/usr/pgsql-*/bin/initdb' || type -P initdb) \
        || die "PostgreSQL is not installed; run: make setup"
    dirname "$(readlink -f "$(sort -V <<<"$found" | tail -n 1)")"
}

require() {
    case $1 in
        postgres) postgres_bin >/dev/null ;;
        redis) [[ $(type -t redis-server) && $(type -t redis-cli) ]] \
            || die "Redis is not installed; run: make setup" ;;
        clickhouse) [[ -r $libchdb ]] || die "ClickHouse is not installed; run: make setup" ;;
    esac
}

# A free port below the range from which the kernel serves outgoing connections. Inside that range
# a client that keeps dialling a dead server can be given the server's own port, which connects the
# client to itself and keeps the server from coming back.
free_port() {
    local floor=15000 ceiling candidate
    read -r ceiling _ </proc/sys/net/ipv4/ip_local_port_range
    ((ceiling > floor + 1000)) || { floor=20000; ceiling=50000; }
    while :; do
        candidate=$((floor + RANDOM % (ceiling - floor)))
        (: </dev/tcp/127.0.0.1/$candidate) 2>/dev/null || break
    done
    printf '%s' "$candidate"
}

# --- is it there? ---------------------------------------------------------------------------------

# The process id on file, if that process still stands in its own directory. An id that was given
# to another process since does not; nor does a process that is dead but not yet reaped.
pid() {
    local id
    id=$(cat "$dir/$1.pid" 2>/dev/null) && [[ $id ]] || return 1
    [[ $(readlink "/proc/$id/cwd" 2>/dev/null)/ == "$(home "$1")"/* ]] && printf '%s' "$id"
}

# Asks for something only our own server can know: a stranger may have taken the port meanwhile.
answers() {
    case $1 in
        postgres) [[ $(sql postgres 'SHOW data_directory') == "$(home postgres)/data" ]] ;;
        redis) timeout 2 redis-cli -p "$port" INFO server | tr -d '\r' | grep -qx "process_id:$(pid redis)" ;;
        clickhouse) [[ $(clickhouse "SELECT path FROM system.disks WHERE name = 'default'") \
            == "$(home clickhouse)/data/" ]] ;;
    esac 2>/dev/null
}

running() {
    local port
    port=$(port "$1") && pid "$1" >/dev/null && answers "$1"
}

sql() {
    "$(postgres_bin)/psql" --no-psqlrc --quiet --tuples-only --no-align --command "$2" \
        "host=127.0.0.1 port=$port user=pulse dbname=$1 connect_timeout=2 sslmode=disable"
}

clickhouse() {
    curl --silent --show-error --fail --max-time 5 --noproxy '*' --data-binary "$1" "http://127.0.0.1:$port/"
}

# --- start ----------------------------------------------------------------------------------------

start() {
    running "$1" && return
    require "$1"
    # A start that was interrupted: nobody knows at which port.
    port "$1" >/dev/null || stop "$1"
    mkdir -p "$dir/$1"
    "prepare_$1"
    cd "$(home "$1")"
    local port deadline=$((SECONDS + start_seconds))
    while ((SECONDS < deadline)); do
        port=$(port "$1") || port=$(free_port)
        pid "$1" >/dev/null || launch "$1"
        if await "$1"; then
            printf '%s\n' "$port" >"$dir/$1.port"
            "furnish_$1"
            say "$1 is up on 127.0.0.1:$port"
            return
        fi
        # Killed with -9, it may have left children that hold its memory or its port for a second.
        sleep 0.25
    done
    tail -n 5 "$dir/$1.log" >&2 || true
    die "$1 did not come up within $start_seconds s; see $dir/$1.log"
}

# Detached, and with none of our files open: it outlives this script and whoever runs it.
launch() {
    local argv=() fd
    "argv_$1"
    {
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd <= 2)) || exec {fd}>&-
        done
        exec setsid "${argv[@]}"
    } </dev/null >>"$dir/$1.log" 2>&1 &
    printf '%s\n' "$!" >"$dir/$1.pid"
}

# Until it answers, or has died, or has been given long enough.
await() {
    local deadline=$((SECONDS + start_seconds / 2))
    while ((SECONDS < deadline)); do
        answers "$1" && return
        pid "$1" >/dev/null || return 1
        sleep 0.05
    done
    die "$1 (process $(cat "$dir/$1.pid")) runs but does not answer; see $dir/$1.log"
}

as_postgres() {
    # PostgreSQL refuses to run as root.
    if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi
}

# Where root works in a directory that others cannot enter, PostgreSQL's part goes elsewhere.
reachable_by_postgres() {
    ((EUID == 0)) || return 0
    chmod a+x "$dir"
    if ! as_postgres test -x "$(home postgres)"; then
        local elsewhere
        elsewhere=$(mktemp -d /var/tmp/pulse-postgres.XXXXXXXX)
        rmdir "$dir/postgres"
        ln -s "$elsewhere" "$dir/postgres"
    fi
    chown postgres: "$(home postgres)"
}

prepare_postgres() {
    reachable_by_postgres
    local home
    home=$(home postgres)
    [[ ! -d $home/data ]] || return 0
    rm -rf "$home/data.new"
    cd "$home"
    as_postgres "$(postgres_bin)/initdb" --pgdata "$home/data.new" --username pulse --auth trust \
        --encoding UTF8 --locale C.UTF-8 --no-sync >"$dir/postgres.log" 2>&1 \
        || { tail -n 5 "$dir/postgres.log" >&2; die "initdb failed"; }
    mv "$home/data.new" "$home/data"
}
prepare_redis() { :; }
prepare_clickhouse() { :; }

argv_postgres() {
    local fsync=${PULSE_SERVICES_FSYNC:-off}
    argv=("$(postgres_bin)/postgres" -D "$(home postgres)/data" -p "$port"
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300
        -c fsync="$fsync" -c full_page_writes="$fsync" -c timezone=UTC -c log_timezone=UTC
        -c shared_buffers=512MB -c wal_compression=lz4 -c max_wal_size=4GB)
    ((EUID != 0)) || argv=(setpriv --reuid=postgres --regid=postgres --init-groups -- "${argv[@]}")
}

argv_redis() {
    argv=(redis-server --bind 127.0.0.1 --port "$port" --dir "$(home redis)" --daemonize no
        --save '' --appendonly yes --appendfsync everysec --maxmemory-policy noeviction)
}

argv_clickhouse() {
    argv=(python3 "$here/clickhouse_server.py" --library "$libchdb" --port "$port"
        --directory "$(home clickhouse)")
}

furnish_postgres() {
    [[ $(sql postgres "SELECT 1 FROM pg_database WHERE datname = 'pulse'") ]] || sql postgres 'CREATE DATABASE pulse'
}
furnish_redis() { :; }
furnish_clickhouse() { clickhouse 'CREATE DATABASE IF NOT EXISTS pulse'; }

# --- stop -----------------------------------------------------------------------------------------

stop() {
    local id signal=TERM deadline=$((SECONDS + stop_seconds))
    # To PostgreSQL, TERM means: wait until every client has left.
    [[ $1 != postgres ]] || signal=INT
    if id=$(pid "$1"); then
        kill -s "$signal" "$id" || true
        kill -s CONT "$id" || true
        while pid "$1" >/dev/null; do
            ((SECONDS < deadline)) || kill -s KILL "$id" || true
            sleep 0.02
        done
        say "$1 is down"
    fi
    rm -f "$dir/$1.pid"
}

delete() {
    rm -rf "$(home "$1")"
    rm -rf "${dir:?}/$1" "$dir/$1.port" "$dir/$1.log"
}

# --- commands -------------------------------------------------------------------------------------

each() {
    local service
    for service in "${services[@]}"; do "$1" "$service"; done
}

print_env() {
    local service
    for service in "${services[@]}"; do
        port "$service" >/dev/null || die "$service was never started in $dir; run: services.sh up $dir"
    done
    printf 'DATABASE_URL=postgres://pulse@127.0.0.1:%s/pulse?sslmode=disable\n' "$(port postgres)"
    printf 'REDIS_URL=redis://127.0.0.1:%s\n' "$(port redis)"
    printf 'CLICKHOUSE_DSN=clickhouse://default@127.0.0.1:%s/pulse\n' "$(port clickhouse)"
}

known() { [[ " ${services[*]} " == *" $1 "* ]] || usage; }

forget() {
    rm -f "$dir/lock"
    rmdir --ignore-fail-on-non-empty "$dir"
}

usage() {
    sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# One at a time per directory. The lock is not handed down to what we start.
alone() {
    [[ ${PULSE_SERVICES_LOCKED:-} == "$dir" ]] && return
    export PULSE_SERVICES_LOCKED=$dir
    exec flock --close --timeout 120 "$dir/lock" "$here/services.sh" "$@"
}

main() {
    (($# >= 2)) || usage
    local verb=$1 dir=$2 service=${3:-}
    if [[ $verb == start || $verb == stop ]]; then known "$service"; fi
    case $verb in
        up | start) mkdir -p "$dir" ;;
        down | destroy | stop) [[ -d $dir ]] || exit 0 ;;
        env) [[ -d $dir ]] || die "no such directory: $dir" ;;
        *) usage ;;
    esac
    dir=$(cd "$dir" && pwd -P)
    [[ $verb == env ]] || alone "$@"
    case $verb in
        env) print_env ;;
        up) each require; each start ;;
        down) each stop ;;
        destroy) each stop; each delete; forget ;;
        start) start "$service" ;;
        stop) stop "$service" ;;
    esac
}

main "$@"
