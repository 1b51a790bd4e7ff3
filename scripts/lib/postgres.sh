# shellcheck shell=bash
# A PostgreSQL of our own, without privileges: found, made, started, stopped.
# It listens on loopback and asks for a password.

# Sets PG_BIN: installed; else from Debian, as root; else from Maven Central.
pg_find() {
  local jar version=18.3.0 dir
  PG_BIN=
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V) "$(dirname "$(command -v postgres || true)")"; do
    # The last is the latest, and what PATH names is what the user wants.
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then PG_BIN=$dir; fi
  done
  [ -z "$PG_BIN" ] || return 0
  if [ "$(id -u)" = 0 ] && has apt-get; then
    say "apt-get install postgresql"
    # Without this the package starts a server of its own on 5432.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
    pg_find
    return
  fi
  PG_BIN=$CACHE/postgresql-$version/bin
  [ ! -x "$PG_BIN/postgres" ] || return 0
  has mvn unzip xz || die "needs PostgreSQL's server, or mvn, unzip and xz to fetch its binaries from Maven Central"
  say "fetching PostgreSQL $version from Maven Central"
  dir=$(mktemp -d)
  mvn -q -B dependency:copy -DoutputDirectory="$dir" \
    -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-$(dpkg --print-architecture 2>/dev/null || echo amd64):$version:jar"
  jar=$(ls "$dir"/*.jar)
  mkdir -p "$dir/postgresql" "$CACHE"
  unzip -qp "$jar" '*.txz' | tar -xJC "$dir/postgresql"
  mv -T "$dir/postgresql" "$CACHE/postgresql-$version"
  rm -rf "$dir"
}

# Postgres refuses to run as root, rightly.
pg_run() { # COMMAND...: as an unprivileged user
  local user
  if [ "$(id -u)" != 0 ]; then "$@"; return; fi
  user=postgres
  id -u "$user" >/dev/null 2>&1 || user=nobody
  (cd / && setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@")
}

pg_work() { # a new directory for things that are thrown away, which the user above can enter
  local dir; dir=$(mktemp -d)
  chmod 711 "$dir"
  echo "$dir"
}

# A cluster with one superuser and one database, both called DATABASE. Not by the
# name of our schema: the search path would hide that a query does not name it.
pg_make() { # DIRECTORY DATABASE INITDB-OPTIONS...
  local dir=$1 database=$2 password; shift 2
  mkdir -p "$dir"
  password=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
  printf '%s' "$password" >"$dir/password"
  chmod 700 "$dir"
  if [ "$(id -u)" = 0 ]; then pg_run true; chown -R "$(pg_run id -u)" "$dir"; fi
  pg_run "$PG_BIN/initdb" -D "$dir/data" -U "$database" --pwfile="$dir/password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 "$@" >/dev/null
  # Some distributions of the server come without createdb and psql.
  echo "CREATE DATABASE $database" | pg_run "$PG_BIN/postgres" --single -D "$dir/data" -c log_checkpoints=off postgres >/dev/null
  touch "$dir/made"
}

pg_start() { # DIRECTORY PORT POSTGRES-OPTIONS
  pg_run "$PG_BIN/pg_ctl" -D "$1/data" -l "$1/log" -w -s -o "-p $2 -c listen_addresses=127.0.0.1 -c unix_socket_directories= ${3:-}" start ||
    die "PostgreSQL did not start: $(tail -n 1 "$1/log")"
}
pg_stop() { # DIRECTORY
  ! pg_running "$1" || pg_run "$PG_BIN/pg_ctl" -D "$1/data" -m fast -w -s stop
}
pg_running() { pg_run "$PG_BIN/pg_ctl" -D "$1/data" status >/dev/null 2>&1; }
pg_url() { # DIRECTORY PORT DATABASE
  echo "postgres://$3:$(cat "$1/password")@127.0.0.1:$2/$3"
}

free_port() { # FIRST: it, or the next that nobody listens on
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}
