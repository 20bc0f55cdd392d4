import asyncio, json, sys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main():
    after = "latest"
    async for socket in connect(sys.argv[1]):
        try:
            subscribe = {"op": "subscribe", "ref": 1, "channel": "numbers", "after": after}
            await socket.send(json.dumps(subscribe))
            async for frame in socket:
                message = json.loads(frame)
                after = message.get("offset", after)
                if message["op"] == "event":
                    print(message["data"], flush=True)
        except ConnectionClosed:
            pass


asyncio.run(main())
