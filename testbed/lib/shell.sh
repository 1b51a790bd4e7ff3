# shellcheck shell=bash
# What every script here uses: messages, waiting, doing two things at once.

# Progress is for the terminal, also from where the rest of the output goes to a log.
exec {TERMINAL}>&2
say() { printf '==> %s\n' "$*" >&"$TERMINAL"; }
die() { echo "${0##*/}: $*" >&2; exit 1; }
has() { # COMMAND...: all of them
  local name
  for name in "$@"; do command -v "$name" >/dev/null || return 1; done
}

within() { # SECONDS COMPLAINT COMMAND...: until the command succeeds
  local end=$((SECONDS + $1)) complaint=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "$complaint within the time given"
    sleep 0.1
  done
}

together() { # LABEL FUNCTION LABEL FUNCTION: both at the same time; both must succeed
  local groups=() logs=() labels=() failed=0 i restore pulse
  # Each in a process group of its own, so that Ctrl-C here ends what they started too.
  set -m
  while [ $# -gt 0 ]; do
    labels+=("$1"); logs+=("$(mktemp)")
    ( set +m -e; "$2" ) >"${logs[-1]}" 2>&1 </dev/null &
    groups+=("$!"); shift 2
  done
  heartbeat "${labels[0]}" "${logs[0]}" "${labels[1]}" "${logs[1]}" &
  groups+=("$!") pulse=$!
  set +m
  restore=$(trap -p INT TERM)
  # shellcheck disable=SC2064
  trap "kill -TERM -- ${groups[*]/#/-} 2>/dev/null || true; wait ${groups[*]} || true; rm -f ${logs[*]}; exit 130" INT TERM
  for i in "${!labels[@]}"; do
    if ! wait "${groups[i]}"; then
      failed=1; { echo "${0##*/}: ${labels[i]} failed:"; tail -n 15 "${logs[i]}"; } >&2
    fi
    rm -f "${logs[i]}"
  done
  kill -TERM -- "-$pulse" 2>/dev/null || true
  wait "$pulse" || true
  trap - INT TERM
  eval "$restore"
  return $failed
}
heartbeat() { # LABEL LOG LABEL LOG: for whoever waits, where they are
  local start=$SECONDS words=("$@") i last
  while sleep 30; do
    for i in 0 2; do
      last=$(tail -n 1 "${words[i + 1]}" 2>/dev/null || true) # the one that is done has no log any more
      [ -z "$last" ] || printf '%4ds  %s: %s\n' $((SECONDS - start)) "${words[i]}" "$last" >&"$TERMINAL"
    done
  done
}
