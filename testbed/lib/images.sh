# shellcheck shell=bash
# The images of a cluster that can pull none: made here, imported by every node.

IMG=$CACHE/images-$({ echo "$BIN"; cat "$HERE/lib/images.sh" "$HERE/lib/mkimage" "$HERE"/images/*; } | digest)

binary_image() { # OUT NAME BINARY DEST CONFIG-JSON: a binary, the libraries it loads, CA roots, a user
  local out=$1 name=$2 bin=$3 dest=$4 config=$5 root lib
  root=$(mktemp -d "$CACHE/building.XXXX")
  install -D -m 755 "$bin" "$root$dest"
  { ldd "$bin" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } | while read -r lib; do
    install -D -m 755 "$(readlink -f "$lib")" "$root$lib"
  done
  install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  printf 'root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\n' >"$root/etc/passwd"
  mkdir -m 1777 "$root/tmp"; chmod 755 "$root"
  "$HERE/lib/mkimage" "$root" "$out" "$name" "$config"
  rm -rf "$root"
}

binary_images() {
  local image name dest
  mkdir -p "$IMG"
  while read -r image name dest; do
    [ -e "$IMG/$name.tar" ] || binary_image "$IMG/$name.tar" "$image" "$BIN/$name" "$dest" "{\"Entrypoint\":[\"$dest\"]}"
  done <<E
registry.k8s.io/pause:3.10 pause /pause
docker.io/coredns/coredns:testbed coredns /coredns
docker.io/rancher/local-path-provisioner:testbed local-path-provisioner /usr/bin/local-path-provisioner
E
}

# One root file system under three names, so that nodes unpack it once.
debian_images() {
  [ ! -e "$IMG/debian.tar" ] || return 0
  say "making the Debian, Postgres and nginx images: about a minute, once"
  local root path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin
  root=$(mktemp -d "$CACHE/building.XXXX"); chmod 755 "$root"
  debootstrap --variant=minbase bookworm "$root"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  install -m 755 "$HERE/images/debian-setup.sh" "$root/setup.sh"
  chroot "$root" /setup.sh
  rm "$root/setup.sh"
  install -m 755 "$HERE/images/postgres-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
  install -m 644 "$HERE/images/nginx.conf" "$root/etc/nginx/nginx.conf"
  install -m 644 "$HERE/images/nginx-default.conf" "$root/etc/nginx/conf.d/default.conf"
  mkdir -p "$IMG"
  # The stop signals are the official images': Postgres on TERM would wait for its clients to leave.
  "$HERE/lib/mkimage" "$root" "$IMG/debian.tar" \
    docker.io/library/debian:bookworm-slim "{\"Cmd\":[\"/bin/bash\"],\"Env\":[\"PATH=$path\"]}" \
    docker.io/library/postgres:15 "{\"Entrypoint\":[\"docker-entrypoint.sh\"],\"Cmd\":[\"postgres\"],\"StopSignal\":\"SIGINT\",\"Env\":[\"PATH=$path\",\"PGDATA=/var/lib/postgresql/data\",\"PG_MAJOR=15\",\"LANG=C.UTF-8\"]}" \
    docker.io/nginxinc/nginx-unprivileged:1.22 "{\"Cmd\":[\"nginx\",\"-g\",\"daemon off;\"],\"StopSignal\":\"SIGQUIT\",\"User\":\"101\",\"Env\":[\"PATH=$path\"]}"
  rm -rf "$root"
}

pack() { # NAME BINARY DEST: what a Dockerfile that copies the binary would make; not made or loaded twice
  local name=${1:?an image name} bin=${2:?a binary} dest=${3:?the path inside} tar repo
  [ -f "$bin" ] || die "no such file: $bin"
  repo=${name##*/} repo=${repo%%:*}
  tar=$CACHE/packed/$repo-$({ echo "$name $dest"; cat "$HERE/lib/images.sh" "$HERE/lib/mkimage" "$bin"; } | digest).tar
  if [ ! -e "$tar" ]; then
    mkdir -p "$CACHE/packed"; rm -f "$CACHE/packed/$repo"-*.tar
    binary_image "$tar" "$name" "$bin" "$dest" "{\"Entrypoint\":[\"$dest\"],\"User\":\"65532:65532\"}"
  fi
  load "$tar"
}
