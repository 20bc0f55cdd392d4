# Publishes a JSON value: python3 producer.py orders '{"id": 7}'
# WEIR_URL: http://127.0.0.1:8000 if not set. WEIR_TOKEN: a token or an API key, if Weir has keys.
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

ATTEMPTS = 8
# Statuses after which a retry can succeed.
RETRYABLE = {408, 429, 500, 502, 503, 504, 507}


def publish(channel, data):
    """Publishes an event. Returns its channel, offset and id once it is durable."""
    # The same for all attempts, so that the event is stored once.
    request = request_for(channel, data, str(uuid.uuid4()))
    for attempt in range(1, ATTEMPTS + 1):
        wait = 0
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            if attempt == ATTEMPTS or refusal.code not in RETRYABLE:
                raise RuntimeError(refusal.read().decode()) from None
            wait = int(refusal.headers.get("Retry-After", 0))
        except OSError:  # no connection, or no answer in time
            if attempt == ATTEMPTS:
                raise
        # A random delay that grows with each attempt, so that producers spread out.
        time.sleep(wait + random.random() * min(30, 0.2 * 2**attempt))


def request_for(channel, data, event_id):
    url = os.environ.get("WEIR_URL", "http://127.0.0.1:8000")
    headers = {"Content-Type": "application/json", "Idempotency-Key": event_id}
    if "WEIR_TOKEN" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['WEIR_TOKEN']}"
    path = f"/v1/channels/{urllib.parse.quote(channel, safe='')}/events"
    return urllib.request.Request(url + path, json.dumps(data).encode(), headers)


if __name__ == "__main__":
    print(json.dumps(publish(sys.argv[1], json.loads(sys.argv[2]))))
