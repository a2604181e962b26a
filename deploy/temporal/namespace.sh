#!/bin/sh
# Creates the namespace, and sets how long Temporal remembers a release that ended.
set -eu
: "${TEMPORAL_NAMESPACE:=default}" "${RETENTION:=90d}"

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi
