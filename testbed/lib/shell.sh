# shellcheck shell=bash
# What every script here uses: messages, waiting, doing two things at once.

# Progress is for the terminal, also from where the rest of the output goes to a log.
exec {TERMINAL}>&2
say() { printf '==> %s\n' "$*" >&"$TERMINAL"; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

within() { # SECONDS COMPLAINT COMMAND...: until the command succeeds
  local end=$((SECONDS + $1)) complaint=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "$complaint within the time given"
    sleep 0.1
  done
}

together() { # LABEL FUNCTION LABEL FUNCTION...: at the same time; all must succeed
  local groups=() logs=() labels=() failed=0 i restore
  # Each in a process group of its own, so that Ctrl-C here ends what they started too.
  set -m
  while [ $# -gt 0 ]; do
    labels+=("$1"); logs+=("$(mktemp)")
    ( set +m -e; "$2" ) >"${logs[-1]}" 2>&1 </dev/null &
    groups+=("$!"); shift 2
  done
  set +m
  restore=$(trap -p INT TERM)
  # shellcheck disable=SC2064
  trap "kill -TERM -- ${groups[*]/#/-} 2>/dev/null || true; wait ${groups[*]} || true; rm -f ${logs[*]}; exit 130" INT TERM
  for i in "${!groups[@]}"; do
    if ! wait "${groups[i]}"; then
      failed=1; { echo "${0##*/}: ${labels[i]} failed:"; tail -n 15 "${logs[i]}"; } >&2
    fi
    rm -f "${logs[i]}"
  done
  trap - INT TERM
  eval "$restore"
  return $failed
}
