// deno-lint-ignore-file no-console
/**
 * Calls onEvent for each event whose type is in `types`, and onGap where events are missing. An
 * EventSource needs to know the types: "message" is that of events without one. getToken fetches a
 * token from your backend.
 */
export async function openStream(weir, channel, { getToken, types, onEvent, onGap }) {
  const events = `${weir}/v1/channels/${encodeURIComponent(channel)}/events`;
  const request = async (url, method) => {
    const headers = { Authorization: `Bearer ${await getToken()}` };
    const response = await fetch(url, { method, headers });
    if (!response.ok) throw new Error((await response.json()).detail);
    return response;
  };
  let after = (await request(`${events}?after=latest`, "GET")).headers.get("Weir-Cursor");

  async function connect() {
    const { ticket } = await (await request(`${weir}/v1/tickets`, "POST")).json();
    // With envelope=1 the data is the whole event: id, type, time, data and more.
    const source = new EventSource(`${events}?ticket=${ticket}&after=${after}&envelope=1`);
    const on = (type, handle) =>
      source.addEventListener(type, ({ data, lastEventId }) => {
        after = lastEventId;
        handle(JSON.parse(data));
      });
    for (const type of types) on(type, onEvent);
    on("weir.gap", onGap);
    on("weir.token", ({ stream }) => {
      request(`${weir}/v1/streams/${stream}/token`, "POST").catch(console.error);
    });
    // EventSource would reconnect with the same ticket, which is used up.
    source.onerror = () => {
      source.close();
      setTimeout(reconnect, 1000);
    };
  }

  function reconnect() {
    connect().catch(() => setTimeout(reconnect, 5000));
  }

  await connect();
}
