import json, sys, time
import httpx
from httpx_sse import connect_sse

headers = {}
while True:
    try:
        with httpx.Client(timeout=60) as client:
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                for event in source.iter_sse():
                    headers["Last-Event-ID"] = event.id
                    if event.event == "message":
                        print(json.loads(event.data), flush=True)
    except httpx.TransportError:
        pass
    time.sleep(1)
