# shellcheck shell=bash
# One node: a network namespace on a bridge, and in it containerd, kubelet and
# kube-proxy. They share a mount namespace with a /run of its own, so that all
# that containers mount is gone when the node's processes are: as after a
# power cut, and with nothing for the host to clean.

POD_NET=10.244

node_ip() { echo "10.200.0.$(($1 + 1))"; }
node_ns() { echo "tb-node$1"; }
nodes() { # the numbers of this cluster's nodes, running or not
  local d
  for d in "$RUN"/node?/; do if [ -d "$d" ]; then basename "$d" | tr -dc 0-9; echo; fi; done
}

# --- cgroups: one for a node's pods, one for its daemons and their shims -----
CGROUPS=/sys/fs/cgroup
cgroup_roots() { # the hierarchies: one with cgroup v2, one per controller with v1
  if [ "$(stat -fc %T $CGROUPS)" = cgroup2fs ]; then echo $CGROUPS; else printf '%s\n' $CGROUPS/*/ | sed 's:/$::'; fi
}
tracking_root() { if [ -d $CGROUPS/pids ]; then echo $CGROUPS/pids; else echo $CGROUPS; fi; }
check_cgroups() {
  [ -e $CGROUPS/cgroup.controllers ] || [ -e $CGROUPS/pids/cgroup.procs ] || die "nodes need cgroups mounted at $CGROUPS; NODES=0 does not"
  mkdir "$(tracking_root)/testbed-probe" 2>/dev/null || die "nodes need cgroups that may be written to ($CGROUPS is read-only); NODES=0 does not"
  rmdir "$(tracking_root)/testbed-probe"
}
make_cgroup() { # NAME
  local root f
  for root in $(cgroup_roots); do mkdir -p "$root/$1"; done
  if [ -e $CGROUPS/cgroup.subtree_control ]; then
    sed 's/\</+/g' $CGROUPS/cgroup.controllers >$CGROUPS/cgroup.subtree_control
  else
    # A cpuset without these two takes no process.
    for f in cpuset.cpus cpuset.mems; do cat "$CGROUPS/cpuset/$f" >"$CGROUPS/cpuset/$1/$f"; done
  fi
}
join_cgroup() { echo "$2" >"$(tracking_root)/$1/cgroup.procs"; } # NAME PID
end_cgroup() { # NAME: kill what is in it, then remove it
  local root
  root=$(tracking_root)
  [ ! -d "$root/$1" ] || within 20 "processes of $1 did not end" emptied "$root/$1"
  for root in $(cgroup_roots); do
    [ ! -d "$root/$1" ] || within 10 "cgroup $root/$1 cannot be removed" find "$root/$1" -depth -type d -exec rmdir {} +
  done
}
emptied() { # DIRECTORY: kill all in it; true if there was nobody
  local procs
  mapfile -t procs < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null)
  [ ${#procs[@]} -gt 0 ] || return 0
  kill -KILL "${procs[@]}" 2>/dev/null || true
  return 1
}

# --- network ----------------------------------------------------------------
check_network() {
  ! ip link show tb0 &>/dev/null || die "bridge tb0 exists: another testbed has nodes up (ls $CACHE/run), or one lost its files: ip link del tb0"
  local net
  for net in 10.200.0.0/24 "$POD_NET.0.0/16" "$SERVICE_NET.0.0/16"; do
    [ -z "$(ip -4 route show root "$net")" ] || die "$net is in use on this machine; nodes need it"
  done
}
make_bridge() {
  ip link add tb0 type bridge
  ip addr add "$BRIDGE_IP/24" dev tb0
  ip link set tb0 up
}
connect_node() { # N
  local n=$1 ns ip; ns=$(node_ns "$n") ip=$(node_ip "$n")
  ip netns add "$ns"
  ip link add "tbv$n" type veth peer name eth0 netns "$ns"
  ip link set "tbv$n" master tb0 up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$ip/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via "$BRIDGE_IP"
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=1
  ip netns exec "$ns" sysctl -qw net.bridge.bridge-nf-call-iptables=1
  ip route replace "$POD_NET.$n.0/24" via "$ip"
  route_services
}
route_services() { # the host reaches ClusterIPs through the first node that is there
  local n
  for n in $(nodes); do
    if [ -e "/run/netns/$(node_ns "$n")" ]; then ip route replace "$SERVICE_NET.0.0/16" via "$(node_ip "$n")"; return; fi
  done
}
disconnect_node() { # N: its links and routes go with it
  [ ! -e "/run/netns/$(node_ns "$1")" ] || ip netns del "$(node_ns "$1")"
  # The kernel takes the namespace down later; the name must be free now.
  ip link del "tbv$1" 2>/dev/null || true
}

# --- the node ----------------------------------------------------------------
# Runs as a node's first process, in its mount namespace: what is volatile on a
# real machine is so here, and what kubelet and CNI keep at fixed paths is out
# of the host's sight.
PRIVATE=(/run /var/log /var/lib/kubelet /var/lib/cni)
NODE_INIT="mount --make-rshared /; for d in ${PRIVATE[*]}; do mkdir -p \$d; mount -t tmpfs tmpfs \$d; done; mkdir /run/netns; exec \"\$@\""

start_runtime() { # N: network, cgroups, containerd and its images
  local n=$1 dir=$RUN/node$1 CGROUP=testbed-node$1-daemons
  mkdir -p "$dir"
  connect_node "$n"
  make_cgroup "testbed-node$n"; make_cgroup "$CGROUP"
  node_config "$n"
  spawn "node$n-containerd" nsenter --net="/run/netns/$(node_ns "$n")" unshare --mount --propagation private \
    sh -ec "$NODE_INIT" node containerd -c "$dir/containerd.toml"
  serving 30 "node$n-containerd" ctr -a "$dir/containerd.sock" version
  load_into "$n" "$IMG"/*.tar
}
start_kubelet() { # N
  local n=$1 dir=$RUN/node$1 CGROUP=testbed-node$1-daemons inside
  inside=(nsenter "--net=/run/netns/$(node_ns "$n")" "--mount=/proc/$(pid_of "node$n-containerd")/ns/mnt")
  spawn "node$n-kubelet" "${inside[@]}" "$BIN/kubelet" --kubeconfig="$RUN/node$n.kubeconfig" --config="$dir/kubelet.yaml" \
    --hostname-override="node$n" --node-ip="$(node_ip "$n")" --root-dir="$dir/kubelet"
  spawn "node$n-proxy" "${inside[@]}" "$BIN/kube-proxy" --config="$dir/proxy.yaml"
}

load_into() { # N TAR...: each once
  local n=$1 tar mark; shift
  for tar in "$@"; do
    mark=$RUN/node$n/loaded/$(basename "$tar")
    if [ ! -e "$mark" ]; then
      ctr -a "$RUN/node$n/containerd.sock" -n k8s.io images import "$tar" >/dev/null
      mkdir -p "$(dirname "$mark")"; touch "$mark"
    fi
  done
}
load() { # TAR...
  local n
  [ $# -gt 0 ] || die "load what? name an image archive"
  for n in $(nodes); do
    if pid_of "node$n-containerd" >/dev/null; then load_into "$n" "$@"; fi
  done
}

check_node() { # N
  [[ ${1:-} =~ ^[1-3]$ && -d $RUN/node$1 ]] || die "this cluster has no node ${1:-}; its nodes: $(nodes | paste -sd' ')"
}
kill_node() { # N
  check_node "$1"
  end_node "$1"
  route_services
}
end_node() { # N: all at once, with no time for anyone to say goodbye
  end_cgroup "testbed-node$1-daemons"
  end_cgroup "testbed-node$1"
  rm -f "$RUN/node$1"-*.pid
  disconnect_node "$1"
}
start_node() { # N
  check_node "$1"
  ! pid_of "node$1-kubelet" >/dev/null || die "node $1 is running"
  end_node "$1"
  start_runtime "$1"
  start_kubelet "$1"
}

node_config() { # N
  local n=$1 dir=$RUN/node$1
  mkdir -p "$dir/cni"
  cat >"$dir/cni/10-testbed.conflist" <<E
{"cniVersion":"1.0.0","name":"testbed","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"$POD_NET.$n.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}],"dataDir":"/run/cni"}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
E
  cat >"$dir/containerd.toml" <<E
version = 2
root = "$dir/containerd"
state = "/run/containerd"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  # Without it containers do not start where this process may not lower its own score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
E
  echo "nameserver 127.0.0.1" >"$dir/resolv.conf"
  cat >"$dir/kubelet.yaml" <<E
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$PKI/node$n.crt"
tlsPrivateKeyFile: "$PKI/node$n.key"
cgroupDriver: cgroupfs
cgroupRoot: /testbed-node$n
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: "unix://$dir/containerd.sock"
clusterDNS: [$SERVICE_NET.0.10]
clusterDomain: cluster.local
resolvConf: "$dir/resolv.conf"
podLogsDir: "$dir/pod-logs"
volumePluginDir: "$dir/volume-plugins"
# Images cannot be pulled again, so none is ever collected.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
nodeStatusUpdateFrequency: 4s
E
  cat >"$dir/proxy.yaml" <<E
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: $POD_NET.0.0/16
hostnameOverride: node$n
clientConnection: {kubeconfig: "$RUN/proxy.kubeconfig"}
conntrack: {maxPerCore: 0}
E
}
