#!/usr/bin/env bash
# Ends what `make up` and `make services` have started. The data stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/native.sh
source scripts/native.sh

containers_run() {
    timeout 10 docker info >/dev/null 2>&1 && [[ $(docker compose ps --all --quiet 2>/dev/null) ]]
}

end_native
scripts/services.sh down .pulse/services
if containers_run; then docker compose down; fi
