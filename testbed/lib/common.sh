# shellcheck shell=bash disable=SC2034
# Settings, messages, and processes that outlive this script.

VERSION=v1.35.4
CACHE=${TESTBED_CACHE:-${XDG_CACHE_HOME:-${HOME:?or TESTBED_CACHE must be set}/.cache}/authstack/testbed}
INSTANCE=${TESTBED_NAME:-default}
RUN=$CACHE/run/$INSTANCE
PKI=$RUN/pki
ADMIN=$RUN/admin.kubeconfig

is_root() { [ "$(id -u)" = 0 ]; }
# Of what is made from sources: a name that changes when they do.
digest() { sha256sum | cut -c1-12; }

[[ $INSTANCE =~ ^[a-z0-9][a-z0-9-]{0,19}$ ]] || die "TESTBED_NAME=$INSTANCE: use at most 20 of a-z, 0-9 and -"
case $CACHE/ in
  /run/* | /var/run/* | /var/log/*) die "TESTBED_CACHE=$CACHE: nodes have a /run and /var/log of their own; choose another place" ;;
  /*) ;;
  *) die "TESTBED_CACHE=$CACHE: must be an absolute path" ;;
esac
# kubelet and containerd put sockets under $RUN, and a socket's path has 107 characters at most.
[ ${#RUN} -le 62 ] || die "$RUN is too long a path for sockets; set a shorter TESTBED_CACHE"

# One command at a time on one cluster, and one build at a time in one cache.
with_lock() { # NAME COMMAND...
  local lock; mkdir -p "$CACHE/locks"
  exec {lock}>"$CACHE/locks/$1"
  flock -n "$lock" || { say "waiting for another testbed command ($1)"; flock "$lock"; }
  shift
  "$@"
  exec {lock}>&-
}

room_for() { # GIGABYTES DIRECTORY WHAT
  local dir=$2 free
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  free=$(df --output=avail -k "$dir" | tail -n 1)
  [ $((free / 1048576)) -ge "$1" ] || die "$3 needs $1 GB of disk under $2; $((free / 1048576)) GB are free"
}

# --- processes -------------------------------------------------------------
# $RUN/NAME.pid holds "PID START": a number alone may have passed on to a
# stranger by the time that `down` reads it.

started_at() { # PID: when it started, in ticks since boot; fails for zombies, which PID 1 may not reap
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}
spawn() { # NAME COMMAND...: in the background, in $CGROUP if that is set; log and pid under $RUN
  local name=$1 pid fd; shift
  (
    # A daemon that inherited a lock, or the pipe of whoever reads our output,
    # would hold it for as long as it lives.
    for fd in "/proc/$BASHPID/fd"/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || exec {fd}>&-
    done
    [ -z "${CGROUP:-}" ] || join_cgroup "$CGROUP" "$BASHPID"
    # Here too, so that a Ctrl-C at this moment cannot leave a stranger behind.
    remember "$name" "$BASHPID"
    exec setsid "$@"
  ) >"$RUN/$name.log" 2>&1 </dev/null &
  pid=$!
  disown "$pid"
  remember "$name" "$pid"
}
remember() { echo "$2 $(started_at "$2" || true)" >"$RUN/$1.pid"; } # NAME PID
pid_of() { # NAME: its pid, if it runs
  local pid start
  { read -r pid start <"$RUN/$1.pid"; } 2>/dev/null || return 1
  [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}
end_all() { # SIGNAL NAME...: and wait until they are gone
  local signal=$1 name pid; shift
  for name in "$@"; do
    if pid=$(pid_of "$name"); then kill "-$signal" "$pid" 2>/dev/null || true; fi
  done
  for name in "$@"; do
    within 10 "$name did not end" gone "$name"
    rm -f "$RUN/$name.pid"
  done
}
gone() { ! pid_of "$1" >/dev/null; }

serving() { # SECONDS NAME COMMAND...: until the command succeeds, for as long as process NAME lives
  local end=$((SECONDS + $1)) name=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    pid_of "$name" >/dev/null || die "$name ended: $(tail -n 1 "$RUN/$name.log")"
    [ $SECONDS -lt $end ] || die "$name is not ready; its log ends: $(tail -n 1 "$RUN/$name.log")"
    sleep 0.1
  done
}
