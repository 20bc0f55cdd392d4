// deno-lint-ignore-file no-console
/**
 * Calls onEvent for each event of the channel, and onGap where events are missing. getToken fetches
 * a token from your backend.
 */
export async function openSocket(weir, channel, { getToken, onEvent, onGap, after = "latest" }) {
  async function connect() {
    const token = await getToken();
    const socket = new WebSocket(`${weir.replace(/^http/, "ws")}/v1/socket`, "weir.v1");
    const send = (message) => socket.send(JSON.stringify(message));
    const handlers = {
      subscribed: ({ offset }) => after = offset,
      event: (event) => {
        after = event.offset;
        onEvent(event);
      },
      gap: (gap) => {
        after = gap.cursor;
        onGap(gap);
      },
      token: () => getToken().then((token) => send({ op: "auth", token })).catch(console.error),
      error: ({ code, detail }) => console.error(code, detail),
    };
    socket.onopen = () => {
      send({ op: "auth", token });
      send({ op: "subscribe", ref: 1, channel, after });
    };
    socket.onmessage = ({ data }) => {
      for (const message of data.split("\n").map((line) => JSON.parse(line))) {
        handlers[message.op]?.(message);
      }
    };
    socket.onclose = () => setTimeout(reconnect, 1000);
  }

  function reconnect() {
    connect().catch(() => setTimeout(reconnect, 5000));
  }

  await connect();
}
