# shellcheck shell=bash
# Tools that one script needs: at pinned versions, installed once, in the cache.

check_go_tool() { has go || die "needs Go, which compiles $1"; }
# Compiles a program and prints where it is.
go_tool() { # MODULE/PACKAGE@VERSION
  local name=${1%@*} root
  name=${name##*/}
  root=$CACHE/tools/$name-${1##*@}
  if [ ! -x "$root/$name" ]; then
    say "installing $name ${1##*@}"
    # Renamed into place by go itself: an installation that was cut off leaves none.
    GOBIN=$root CGO_ENABLED=0 GOTOOLCHAIN=local go install "$1" >&2 || die "$name cannot be installed"
  fi
  echo "$root/$name"
}

check_python_tool() { python3 -c 'import ensurepip' 2>/dev/null || die "needs python3 with venv (Debian: python3-venv)"; }
# Makes a virtual environment of what a file pins, by their hashes, and prints where it is.
python_tool() { # NAME PINS
  local root
  root=$CACHE/tools/$1-$(sha256sum "$2" | cut -c1-16)
  if [ ! -e "$root/complete" ]; then
    say "installing $1"
    rm -rf "$root"
    python3 -m venv "$root"
    "$root/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$2" >&2 ||
      die "$1 cannot be installed"
    touch "$root/complete"
  fi
  echo "$root"
}
