#!/usr/bin/env bash
# Takes one mechanism after the other out of Pulse, and sees the test go red that stands on it.
#
#   mutations.sh           all of them, then all tests once more on the untouched tree
#   mutations.sh WORD...   those whose name holds one of the words
#   mutations.sh --lint    whether each patch still applies, and says what it must; builds nothing
#
# A mutation is crates/lab/mutations/NAME.patch: a few lines `key: value`, then a diff.
#
#   promise: 1, 3          the promises it breaks
#   removes: WORDS         the mechanism that is gone
#   test: TARGET TEST      the test that must go red; TARGET is `lib` or a file in a tests/ folder
#   show: SHOW OPTIONS     or the show of pulse-lab that must, or both,
#   red: FIGURE            and which figure of the show
#
# It works on a copy in target/mutations, with a target folder of its own that the next run uses again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly root=$PWD
readonly patches=$root/crates/lab/mutations
readonly scratch=$root/target/mutations
readonly tree=$scratch/tree log=$scratch/log
# What nothing here takes: a build from nothing, and a test that is red by waiting in vain.
readonly build_seconds=1800 test_seconds=300

say() { printf '%s\n' "$*" >&2; }

# The value of a key in the head of a patch.
head_of() { sed -n "/^diff /q; s/^$2: //p" "$patches/$1.patch"; }

names() { (cd "$patches" && printf '%s\n' *.patch | sed 's/\.patch$//'); }

wanted() {
    local word
    (($# > 1)) || return 0
    for word in "${@:2}"; do [[ $1 != *"$word"* ]] || return 0; done
    return 1
}

# --- lint -----------------------------------------------------------------------------------------

# What is wrong with a patch; nothing when it is right.
faults() {
    local key
    for key in promise removes; do
        [[ $(head_of "$1" "$key") ]] || echo "$1: no $key"
    done
    [[ $(head_of "$1" test)$(head_of "$1" show) ]] || echo "$1: neither test nor show"
    [[ ! $(head_of "$1" show) || $(head_of "$1" red) ]] || echo "$1: no red"
    git apply --check "$patches/$1.patch" 2>&1 | sed "s|^|$1: |" || :
}

lint() {
    local name found
    found=$(for name in $(names); do faults "$name"; done)
    [[ ! $found ]] || { say "$found"; return 1; }
}

# --- the copy -------------------------------------------------------------------------------------

# The files as they are now, committed or not. Those that are the same keep their time, so that
# cargo builds again only what changed.
copy_tree() {
    local file
    mkdir -p "$tree"
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
        [[ -f $file ]] || continue
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/$(dirname "$file")"
        cp "$file" "$tree/$file"
    done
    # What is there no more here must not be there.
    (cd "$tree" && find . -type f) | while IFS= read -r file; do
        [[ -f $file ]] || rm -f "$tree/$file"
    done
}

# Dependencies are built the same for both; only Pulse itself is not.
seed_target() {
    local own=$scratch/target/debug from=$root/target/debug
    [[ ! -d $own && -d $from/deps ]] || return 0
    say "taking built dependencies from target/debug"
    mkdir -p "$own/deps" "$own/build" "$own/.fingerprint"
    find "$from/deps" -name 'lib*' ! -name 'libpulse*' -exec cp -pt "$own/deps" {} +
    find "$from/build" -mindepth 1 -maxdepth 1 ! -name 'pulse*' -exec cp -rpt "$own/build" {} +
    find "$from/.fingerprint" -mindepth 1 -maxdepth 1 ! -name 'pulse*' -exec cp -rpt "$own/.fingerprint" {} +
}

# The copy lies within a repository that must not be asked.
mutate() { (cd "$tree" && GIT_CEILING_DIRECTORIES=$scratch git apply "$@"); }

# --- build and play -------------------------------------------------------------------------------

# The options of `cargo test`. Of the whole workspace, as `make test` has it: for one package alone cargo
# would build the dependencies again, with fewer features.
target_of() {
    if [[ $1 == lib ]]; then echo --workspace --lib; else echo --workspace --test "$1"; fi
}

in_tree() { (cd "$tree" && CARGO_TARGET_DIR=$scratch/target CARGO_TERM_COLOR=never "$@") >"$log" 2>&1; }

build() {
    local target
    if [[ $1 == show ]]; then
        in_tree timeout "$build_seconds" cargo build --workspace --bins
    else
        read -ra target < <(target_of "$2")
        in_tree timeout "$build_seconds" cargo test "${target[@]}" --no-run
    fi
}

# play show SHOW OPTIONS..., or play test TARGET TEST...
play() {
    local target
    if [[ $1 == show ]]; then
        in_tree timeout --kill-after 60 "$test_seconds" "$scratch/target/debug/pulse-lab" "${@:2}"
    else
        read -ra target < <(target_of "$2")
        in_tree timeout --kill-after 10 "$test_seconds" cargo test "${target[@]}" -- --exact "${@:3}"
    fi
}

# Whether the log says that it is red for the reason named.
red_as_told() {
    if [[ $1 == show ]]; then
        grep -F -- "  $2  " "$log" | grep 'FAILED$' >/dev/null
    else
        grep -Fxq "test $2 ... FAILED" "$log"
    fi
}

row() { printf '%-8s  %-32s  %-28s  %5s\n' "$@"; }

# How a test or show takes the mutation that the copy has now.
verdict_of() {
    local name=$1 kind=$2 words red
    read -ra words < <(head_of "$name" "$kind")
    red=$(head_of "$name" red)
    [[ $kind == show ]] || red=${words[1]}
    if ! build "$kind" "${words[@]}"; then
        echo "DOES NOT BUILD"
    elif play "$kind" "${words[@]}"; then
        echo "GREEN"
    elif red_as_told "$kind" "$red"; then
        echo "red"
    else
        echo "RED FOR ANOTHER REASON"
    fi
}

# A mutation, from the patch to the verdict. Leaves the copy as it was.
try() {
    local name=$1 kind verdict=red started=$SECONDS
    mutate "$patches/$name.patch" || verdict="DOES NOT APPLY"
    for kind in test show; do
        [[ $verdict == red && $(head_of "$name" "$kind") ]] || continue
        verdict=$(verdict_of "$name" "$kind")
    done
    [[ $verdict == "DOES NOT APPLY" ]] || mutate --reverse "$patches/$name.patch"
    row "$(head_of "$name" promise)" "$name" "$verdict" $((SECONDS - started))
    [[ $verdict == red ]] || { tail -n 40 "$log" | sed 's/^/    | /'; return 1; }
}

# Everything that was played on mutations, on the copy as it was: tests of one target together.
control() {
    local name line started bad=0
    local -A tests=() shows=()
    for name in "$@"; do
        line=$(head_of "$name" show)
        [[ ! $line ]] || shows[$line]=1
        line=$(head_of "$name" test)
        [[ ! $line ]] || tests[${line% *}]+=" ${line##* }"
    done
    for line in "${!tests[@]}"; do
        started=$SECONDS
        read -ra words < <(tr ' ' '\n' <<<"${tests[$line]}" | sort -u | tr '\n' ' ')
        green test "$line" "${words[@]}" || bad=1
    done
    for line in "${!shows[@]}"; do
        started=$SECONDS
        read -ra words <<<"$line"
        green show "${words[@]}" || bad=1
    done
    return "$bad"
}

green() {
    local verdict=green what="$2, $(($# - 2)) tests"
    [[ $1 == test ]] || what="pulse-lab ${*:2}"
    build "$@" && play "$@" || verdict="RED"
    row none "${what:0:32}" "$verdict" $((SECONDS - started))
    [[ $verdict == green ]] || { tail -n 40 "$log" | sed 's/^/    | /'; return 1; }
}

stores_up() {
    scripts/setup.sh services
    stores=$(mktemp -d "${TMPDIR:-/tmp}/pulse-mutations.XXXXXX")
    trap 'trap "" HUP INT TERM; scripts/services.sh destroy "$stores"' EXIT
    trap 'exit 130' HUP INT TERM
    scripts/services.sh up "$stores"
    set -a
    eval "$(scripts/services.sh env "$stores")"
    set +a
}

main() {
    local name chosen=() bad=0
    for name in $(names); do
        if wanted "$name" "$@"; then chosen+=("$name"); fi
    done
    ((${#chosen[@]})) || { say "mutations: none is called that"; exit 2; }
    copy_tree
    seed_target
    stores_up
    row promise mutation verdict s
    for name in "${chosen[@]}"; do try "$name" || bad=$((bad + 1)); done
    control "${chosen[@]}" || bad=$((bad + 1))
    echo "${#chosen[@]} mutations, $bad not as they must be, $SECONDS s"
    ((bad == 0))
}

case ${1:-} in
    --lint) lint ;;
    *) main "$@" ;;
esac
