import sys, time
import requests

after, wait = "latest", 0
while True:
    try:
        page = requests.get(sys.argv[1], params={"after": after, "wait": wait}, timeout=60)
        page.raise_for_status()
        if page.status_code == 200:
            for event in page.json()["events"]:
                print(event["data"], flush=True)
        after, wait = page.headers["Weir-Cursor"], 30
    except requests.RequestException:
        time.sleep(1)
