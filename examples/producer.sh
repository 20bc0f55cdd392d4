#!/bin/sh
# Publishes a JSON value: sh producer.sh orders '{"id": 7}'
# WEIR_URL: http://127.0.0.1:8000 if not set. WEIR_TOKEN: a token or an API key, if Weir has keys.
set -eu

channel=${1:?which channel?}
data=${2:?which data?}
url=${WEIR_URL:-http://127.0.0.1:8000}

# The same in each attempt: however many of them arrive, one event is stored.
id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# By the configuration, since arguments are seen by everyone on the machine.
credential() {
  if [ -n "${WEIR_TOKEN:-}" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$WEIR_TOKEN"
  fi
}

# Of a channel with other characters than these, give the name percent-encoded.
# Tries again after 429 and 5xx, as Retry-After says, and where there is no connection.
status=0
credential | curl --config - --silent --show-error --fail-with-body \
  --retry 8 --retry-connrefused --max-time 30 \
  --header 'Content-Type: application/json' --header "Idempotency-Key: $id" \
  --output "$answer" --data-raw "$data" "$url/v1/channels/$channel/events" || status=$?
cat "$answer"
exit "$status"
