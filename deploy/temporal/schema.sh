#!/bin/sh
# Creates Temporal's two databases and brings their tables up to this version; run again, it changes nothing.
set -eu
SQL_PASSWORD=$(cat /run/secrets/database-password)
export SQL_PASSWORD SQL_PLUGIN=postgres12 SQL_HOST=database SQL_PORT=5432 SQL_USER=temporal

for database in temporal temporal_visibility; do
  kind=${database#temporal_}
  temporal-sql-tool --database "$database" create-database
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$kind/versioned"
done
