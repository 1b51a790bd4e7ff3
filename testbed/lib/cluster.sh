# shellcheck shell=bash
# A cluster as a whole: up, down, and what it tells about itself.

DAEMONS=(scheduler manager apiserver etcd)
# What kubelets and this script set on the host, and `down` sets back.
SYSCTLS=(net.ipv4.ip_forward vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

check() { # NODES: whatever can be known before anything is changed
  [[ $1 =~ ^[0-3]$ ]] || die "nodes: 0 to 3, not $1"
  if [ "$1" != 0 ]; then
    is_root || die "nodes need root; NODES=0 does not"
    check_cgroups
  fi
  [ -x "$BIN/kube" ] || check_go
}
up() { # NODES
  check "$1"
  with_lock "run-$INSTANCE" up_locked "$1"
}
up_locked() { # NODES
  if [ -d "$RUN" ]; then
    if [ "$(cat "$RUN/nodes" 2>/dev/null)" = "$1" ] && serves; then
      say "up already: eval \"\$($0 env)\""
      return
    fi
    ! pid_of apiserver >/dev/null || die "cluster $INSTANCE is up otherwise ($(cat "$RUN/nodes") nodes); testbed down first, or choose another TESTBED_NAME"
    say "clearing away what is left of a cluster that ended without testbed down"
    down_locked
  fi
  [ "$1" = 0 ] || check_network
  build_all "$1"
  room_for 1 "$CACHE" "a cluster"
  choose_ports
  mkdir -p "$RUN"; echo "$1" >"$RUN/nodes"
  trap 'abandon $?' EXIT
  trap 'exit 130' INT TERM
  start "$1"
  trap - EXIT INT TERM
  say "up: eval \"\$($0 env)\""
}
abandon() { # STATUS: of an `up` that failed, keep the logs and nothing else
  trap - EXIT
  trap '' INT TERM # an impatient second Ctrl-C must not leave half of it behind
  mkdir -p "$CACHE/failed/$INSTANCE"
  cp "$RUN"/*.log "$CACHE/failed/$INSTANCE/" 2>/dev/null || true
  echo "testbed: up failed; logs are in $CACHE/failed/$INSTANCE" >&2
  down_locked
  exit "$1"
}

start() { # NODES
  local count=$1 n address=127.0.0.1
  say "starting a control plane$([ "$count" = 0 ] || echo " and $count node(s)")"
  if [ "$count" != 0 ]; then
    address=$BRIDGE_IP
    sysctl "${SYSCTLS[@]}" >"$RUN/sysctl"
    sysctl -qw net.ipv4.ip_forward=1
    make_bridge
  fi
  pki "https://$address:$PORT" "$address" "$count"
  if [ "$count" = 0 ]; then control_plane 0 "$address"; return; fi
  COUNT=$count ADDRESS=$address
  together "the control plane" start_control "containerd" start_runtimes
  for n in $(seq "$count"); do start_kubelet "$n"; done
  sed "s:@VOLUMES@:$RUN/volumes:" "$HERE"/manifests/*.yaml | kubectl apply -f - >/dev/null
  for n in $(seq "$count"); do
    within 60 "node$n did not register (log: $RUN/node$n-kubelet.log)" kubectl get node "node$n"
  done
  kubectl wait --for=condition=Ready nodes --all --timeout=60s >/dev/null
  kubectl -n kube-system rollout status deploy/coredns --timeout=90s >/dev/null
}
start_control() { control_plane "$COUNT" "$ADDRESS"; }
start_runtimes() { local n; for n in $(seq "$COUNT"); do start_runtime "$n"; done; }
serves() { # everything that `start` started still runs
  local name n
  kubectl get --raw /readyz &>/dev/null || return 1
  for name in etcd apiserver manager; do pid_of "$name" >/dev/null || return 1; done
  for n in $(nodes); do
    for name in containerd kubelet proxy; do pid_of "node$n-$name" >/dev/null || return 1; done
  done
}

down() { with_lock "run-$INSTANCE" down_locked; }
down_locked() {
  local n
  [ -d "$RUN" ] || return 0
  end_all KILL "${DAEMONS[@]}"
  if [ "$(cat "$RUN/nodes" 2>/dev/null || echo 0)" != 0 ]; then
    is_root || die "this cluster has nodes; only root can end it"
    for n in 1 2 3; do end_node "$n"; done
    ip link del tb0 2>/dev/null || true
    # `ip netns` makes its directory a mount when it is first used; empty, it serves nobody.
    if [ -d /run/netns ] && [ -z "$(ls /run/netns)" ]; then umount /run/netns 2>/dev/null || true; fi
    rmdir /run/netns /var/lib/kubelet /var/lib/cni 2>/dev/null || true
    if [ -s "$RUN/sysctl" ]; then sysctl -qp "$RUN/sysctl"; fi
  fi
  rm -rf "$RUN"
}

print_env() {
  [ -e "$ADMIN" ] || echo "testbed: cluster $INSTANCE is not up (testbed up)" >&2
  # shellcheck disable=SC2016
  printf 'export KUBECONFIG=%q KUBEBUILDER_ASSETS=%q PATH=%q:"$PATH"\n' "$ADMIN" "$BIN" "$BIN"
}
status() { # fails if something that should run does not
  local f name pid failed=0
  [ -d "$RUN" ] || { echo "cluster $INSTANCE is not up"; return 1; }
  for f in "$RUN"/*.pid; do
    name=$(basename "$f" .pid)
    pid=$(pid_of "$name") || pid=dead failed=1
    printf '%-18s %-8s %s\n' "$name" "$pid" "$RUN/$name.log"
  done
  echo "audit log: $AUDIT_LOG"
  return $failed
}
