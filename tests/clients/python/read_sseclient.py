import json, sys, time
import requests
import sseclient

headers = {"Accept": "text/event-stream"}
while True:
    try:
        response = requests.get(sys.argv[1], headers=headers, stream=True, timeout=60)
        for event in sseclient.SSEClient(response).events():
            if event.id:
                headers["Last-Event-ID"] = event.id
            if event.event == "message":
                print(json.loads(event.data), flush=True)
    except requests.RequestException:
        pass
    time.sleep(1)
