# shellcheck shell=bash
# What has to be on the machine, and what is compiled once: Kubernetes, etcd,
# kubectl, CoreDNS, the volume provisioner.

LDFLAGS="-s -w -X k8s.io/component-base/version.gitVersion=$VERSION -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35"
BIN=$CACHE/bin-$({ echo "$LDFLAGS"; cat "$HERE"/go/go.* "$HERE"/go/*/*.go; } | digest)

packages() { # NODES: install what is missing, or say what to install
  local need=(openssl iproute2 util-linux) missing=() p
  [ "$1" = 0 ] || need+=(containerd runc containernetworking-plugins iptables ipset conntrack ebtables debootstrap python3 ca-certificates)
  if ! has dpkg; then
    has openssl || die "needs openssl; install it"
    [ "$1" = 0 ] || has containerd runc debootstrap iptables ipset conntrack python3 || die "needs these Debian packages or their like: ${need[*]}"
    return
  fi
  for p in "${need[@]}"; do
    [ "$(dpkg-query -Wf '${db:Status-Abbrev}' "$p" 2>/dev/null)" = "ii " ] || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  is_root || die "needs packages that only root can install: apt-get install ${missing[*]}"
  say "apt-get install ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

check_go() { # compiling needs the Go that go.mod names, or a later one
  local want have
  want=$(sed -n 's/^go //p' "$HERE/go/go.mod")
  has go || die "needs Go $want or later to compile Kubernetes; there is no go in PATH"
  have=$(GOTOOLCHAIN=local go env GOVERSION) have=${have#go} have=${have%% *}
  [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ] || die "needs Go $want or later to compile Kubernetes; this is Go $have"
}

go_build() { (cd "$HERE/go" && CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -ldflags "$LDFLAGS" -o "$@"); }
compile() {
  [ ! -x "$BIN/kube" ] || return 0
  check_go
  room_for 6 "$(go env GOCACHE)" "compiling Kubernetes"
  say "compiling Kubernetes, etcd, kubectl, CoreDNS: about six minutes on two cores, once"
  local out name; out=$(mktemp -d "$CACHE/building.XXXX")
  go_build "$out/" ./kube ./coredns ./pause
  # By itself: it spells an import's name as one of the others does not.
  go_build "$out/" github.com/rancher/local-path-provisioner
  # The names that the binary goes by; envtest and its like look for the first three.
  for name in kube-apiserver etcd kubectl kube-controller-manager kube-scheduler kubelet kube-proxy; do
    ln -s kube "$out/$name"
  done
  chmod 755 "$out"
  mv -T "$out" "$BIN"
}

prepare() { # NODES: everything that `up` needs and that outlives a cluster
  mkdir -p "$CACHE"
  packages "$1"
  if [ "$1" = 0 ]; then compile; return; fi
  room_for 2 "$CACHE" "images and volumes"
  together "compiling Kubernetes" compile "the Debian, Postgres and nginx images" debian_images
  binary_images
}
build_all() { with_lock build prepare "$1"; }

clean() {
  [ -z "$(ls "$CACHE/run" 2>/dev/null)" ] || die "a cluster is up; run testbed down first"
  rm -rf "$CACHE"/bin-* "$CACHE"/images-* "$CACHE/packed" "$CACHE"/building.*
}
