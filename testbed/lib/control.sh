# shellcheck shell=bash disable=SC2034
# The control plane, on the host: etcd, API server, controller manager, and a
# scheduler if there are nodes.

BRIDGE_IP=10.200.0.1
SERVICE_NET=10.96
AUDIT_LOG=$RUN/audit.log

kubectl() { "$BIN/kubectl" --kubeconfig="$ADMIN" "$@"; }

# Three ports in a row: API server, etcd's clients, etcd's peers.
choose_ports() { # sets PORT
  local try
  if [ -n "${TESTBED_PORT:-}" ]; then
    for try in 0 1 2; do
      free_port $((TESTBED_PORT + try)) || die "port $((TESTBED_PORT + try)) is taken; choose another TESTBED_PORT, or none for any free one"
    done
    PORT=$TESTBED_PORT
    return
  fi
  for try in {1..100}; do
    # Below the range that the kernel gives to outgoing connections.
    PORT=$((20000 + RANDOM % 4000 * 3))
    if free_port "$PORT" && free_port $((PORT + 1)) && free_port $((PORT + 2)); then return; fi
  done
  die "found no free ports between 20000 and 32000"
}
free_port() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

control_plane() { # NODES ADDRESS
  local etcd=http://127.0.0.1:$((PORT + 1)) peers=http://127.0.0.1:$((PORT + 2)) reconciler=lease
  # Loopback is no address that a Service may have as its endpoint.
  [ "$1" != 0 ] || reconciler=none
  # Every request, without its content; a test counts writes in it.
  cat >"$RUN/audit.yaml" <<E
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
E
  spawn etcd "$BIN/etcd" --data-dir="$RUN/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="$etcd" --advertise-client-urls="$etcd" \
    --listen-peer-urls="$peers" --initial-advertise-peer-urls="$peers" --initial-cluster="default=$peers"
  spawn apiserver "$BIN/kube-apiserver" --etcd-servers="$etcd" --bind-address="$2" --secure-port="$PORT" --advertise-address="$2" \
    --endpoint-reconciler-type=$reconciler --service-cluster-ip-range=$SERVICE_NET.0.0/16 --allow-privileged \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file="$PKI/sa.key" --service-account-key-file="$PKI/sa.pub" \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" --requestheader-client-ca-file="$PKI/ca.crt" \
    --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --audit-policy-file="$RUN/audit.yaml" --audit-log-path="$AUDIT_LOG" --audit-log-maxsize=200 --audit-log-maxbackup=3
  serving 60 apiserver kubectl get --raw /readyz
  [ "${TESTBED_CONTROLLERS:-on}" = on ] || return 0
  spawn manager "$BIN/kube-controller-manager" --secure-port=0 --kubeconfig="$RUN/manager.kubeconfig" --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --node-monitor-grace-period=20s
  [ "$1" = 0 ] || spawn scheduler "$BIN/kube-scheduler" --secure-port=0 --kubeconfig="$RUN/scheduler.kubeconfig" --leader-elect=false
  # The first thing that controllers make in a new namespace; pods need it.
  within 60 "the controller manager made no service account" kubectl -n default get serviceaccount default
}
