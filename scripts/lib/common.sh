# shellcheck shell=bash disable=SC2034
# Where things are, and which cluster `make` works on.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT" || exit 1
# shellcheck source=testbed/lib/shell.sh
. testbed/lib/shell.sh

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/authstack
TESTBED=$ROOT/testbed/testbed
KIND_NAME=authstack
KIND_CONFIG=$CACHE/kind.kubeconfig
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

[[ ${CLUSTER:-testbed} =~ ^(testbed|kind|current)$ ]] || die "CLUSTER=$CLUSTER: must be testbed, kind or current"
cluster() { # testbed, kind or current
  if [ -n "${CLUSTER:-}" ]; then echo "$CLUSTER"; elif has kind && docker_runs; then echo kind; else echo testbed; fi
}
docker_runs() { has docker && docker version >/dev/null 2>&1; }

# From here on kubectl speaks to that cluster.
use_cluster() {
  case $(cluster) in
    testbed) eval "$("$TESTBED" env)" ;;
    kind) export KUBECONFIG=$KIND_CONFIG ;;
    current) ;;
  esac
  has kubectl || die "needs kubectl in PATH"
}

release_build() {
  # Both in one command: by themselves, each would have its dependencies built with other features.
  cargo build --release --locked -p authstack-api -p authstack-operator
}
