#!/bin/sh
# Publishes a JSON value: sh producer.sh orders '{"id": 7}'
# WEIR_URL: http://127.0.0.1:8000 if not set. WEIR_TOKEN: a token or an API key, if Weir has keys.
set -eu

channel=${1:?usage: sh producer.sh CHANNEL JSON}
data=${2:?usage: sh producer.sh CHANNEL JSON}
url=${WEIR_URL:-http://127.0.0.1:8000}

# The same for all attempts, so that the event is stored once.
id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Passed as configuration, because all users of the machine can see arguments.
credential() {
  if [ -n "${WEIR_TOKEN:-}" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$WEIR_TOKEN"
  fi
}

# Percent-encode the channel name if it has characters other than a-z, A-Z, 0-9 and -_.~.
# Retries after 429, 5xx (following Retry-After) and connection errors.
status=0
credential | curl --config - --silent --show-error --fail-with-body \
  --retry 8 --retry-connrefused --max-time 30 \
  --header 'Content-Type: application/json' --header "Idempotency-Key: $id" \
  --output "$answer" --data-raw "$data" "$url/v1/channels/$channel/events" || status=$?
cat "$answer"
exit "$status"
