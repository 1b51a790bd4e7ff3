#!/bin/sh
# Runs once, when the database is made: who owns it, and who serves from it.
# Neither is a superuser, as in a stack that the operator runs. The passwords
# go through psql's own quoting, from the environment that only it sees.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv runtime_password RUNTIME_PASSWORD
CREATE ROLE authstack_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE authstack_runtime LOGIN PASSWORD :'runtime_password';
ALTER DATABASE authstack OWNER TO authstack_owner;
REVOKE ALL ON DATABASE authstack FROM PUBLIC;
GRANT CONNECT ON DATABASE authstack TO authstack_runtime;
SQL
