#!/usr/bin/env bash
# The official postgres image's contract, as far as a server of one's own needs
# it: POSTGRES_PASSWORD, _USER and _DB (each also as _FILE), POSTGRES_INITDB_ARGS,
# POSTGRES_HOST_AUTH_METHOD, PGDATA, /docker-entrypoint-initdb.d, and arguments
# for `postgres`. Runs as root (and drops to postgres) or as any other user.
set -Eeuo pipefail

file_env() { # NAME [DEFAULT]: NAME from the environment, or from the file that NAME_FILE names
  local file=${1}_FILE
  if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
    echo >&2 "error: both $1 and $file are set (but are exclusive)"; exit 1
  fi
  if [ -n "${!file:-}" ]; then export "$1=$(<"${!file}")"; else export "$1=${!1:-${2:-}}"; fi
  unset "$file"
}

run_init_files() {
  local f sql=(psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc -U "$POSTGRES_USER" -d "$POSTGRES_DB")
  for f in /docker-entrypoint-initdb.d/*; do
    echo "$0: running $f"
    case $f in
      *.sh)
        # shellcheck source=/dev/null
        if [ -x "$f" ]; then "$f"; else . "$f"; fi ;;
      *.sql) PGHOST='' PGHOSTADDR='' "${sql[@]}" -f "$f" ;;
      *.sql.gz) gunzip -c "$f" | PGHOST='' PGHOSTADDR='' "${sql[@]}" ;;
      *) echo "$0: ignoring $f" ;;
    esac
  done
}

make_cluster() { # OPTIONS...
  # Word splitting is what the variable is for.
  # shellcheck disable=SC2086
  initdb -D "$PGDATA" --username="$POSTGRES_USER" "$@" ${POSTGRES_INITDB_ARGS:-}
}

init() { # [OPTIONS...]: of the server
  file_env POSTGRES_PASSWORD
  file_env POSTGRES_USER postgres
  file_env POSTGRES_DB "$POSTGRES_USER"
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
    echo >&2 "Error: Database is uninitialized and superuser password is not specified."; exit 1
  fi
  if [ -n "$POSTGRES_PASSWORD" ]; then
    make_cluster --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
  else
    make_cluster
  fi
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  # Only over the socket until the scripts are done: a client never meets a half-made database.
  export PGPASSWORD=$POSTGRES_PASSWORD
  # With the same arguments as the server that follows, quoted for pg_ctl's shell.
  local options
  options=$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")
  NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w start
  [ "$POSTGRES_DB" = postgres ] || createdb -U "$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
  shopt -s nullglob
  run_init_files
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
}

[ "${1#-}" = "${1:-}" ] || set -- postgres "$@"
[ "${1:-}" = postgres ] || exec "$@"
mkdir -p "$PGDATA"; chmod 700 "$PGDATA" || true
if [ "$(id -u)" = 0 ]; then
  chown -R postgres "$PGDATA"
  exec gosu postgres "$0" "$@"
fi
[ -s "$PGDATA/PG_VERSION" ] || init "${@:2}"
exec "$@"
