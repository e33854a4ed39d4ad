#!/bin/sh
# /etc/patroni/create-database.sh: Patroni calls it on the first primary, with the URL of an administrator. The hub's password is an example.
set -eu
# There is no standby yet that could confirm this.
export PGOPTIONS="-c synchronous_commit=local"
psql -X -q -v ON_ERROR_STOP=1 "$1" <<'SQL'
CREATE ROLE tim LOGIN PASSWORD 'CHANGE_ME_HUB';
CREATE DATABASE tim OWNER tim ENCODING 'UTF8' TEMPLATE template0;
SQL
