#!/bin/sh
# Inside a minimal Debian: Postgres and nginx, with the users of their official images.
set -e
export DEBIAN_FRONTEND=noninteractive
groupadd -r -g 999 postgres; useradd -r -g postgres -u 999 -d /var/lib/postgresql -s /bin/bash postgres
groupadd -r -g 101 nginx; useradd -r -g nginx -u 101 -d /nonexistent -s /bin/false nginx
mkdir -p /etc/postgresql-common; echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends postgresql-15 gosu nginx-light openssl curl
apt-get clean
# The JIT compiler is half of Postgres by size, and no use here.
rm -rf /var/lib/apt/lists/* /var/log/apt /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info \
  /usr/lib/*/libLLVM* /usr/lib/*/libz3* /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/postgresql/15/lib/bitcode
ln -sf /dev/stdout /var/log/nginx/access.log; ln -sf /dev/stderr /var/log/nginx/error.log
rm -rf /etc/nginx/sites-* /etc/nginx/modules-enabled /etc/nginx/conf.d; mkdir /etc/nginx/conf.d
mkdir -p /docker-entrypoint-initdb.d /var/lib/postgresql/data; chown -R 999:999 /var/lib/postgresql /var/run/postgresql
chmod 3777 /var/run/postgresql
