#!/usr/bin/env bash
# Feeds what reads what strangers write with what nobody would write (fuzz/).
#
#   fuzz.sh SECONDS             each target for so long
#   fuzz.sh SECONDS TARGET...   these
#
# What a target learnt stays in fuzz/corpus, and what broke it in fuzz/artifacts: run it again with
# `cargo fuzz run --sanitizer none TARGET FILE`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly cargo_fuzz=0.13.2 longest_input=4096

seconds=${1:?how many seconds for each target}
shift
targets=("$@")

cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version "$cargo_fuzz" --locked
# What cargo-fuzz asks of the compiler is for nightly alone, unless one insists.
export RUSTC_BOOTSTRAP=1
((${#targets[@]})) || mapfile -t targets < <(cargo fuzz list)

failed=()
for target in "${targets[@]}"; do
    printf '== %s, %s s\n' "$target" "$seconds"
    mkdir -p "fuzz/corpus/$target"
    corpora=("fuzz/corpus/$target")
    [[ ! -d fuzz/seeds/$target ]] || corpora+=("fuzz/seeds/$target")
    # No sanitizer: there is no unsafe code of our own for it to watch.
    cargo fuzz run --sanitizer none --debug-assertions "$target" "${corpora[@]}" -- \
        -max_total_time="$seconds" -max_len="$longest_input" -print_final_stats=1 -verbosity=0 ||
        failed+=("$target")
done
((${#failed[@]} == 0)) || { printf 'fuzz: broken: %s\n' "${failed[*]}"; exit 1; }
