// deno-lint-ignore-file no-console
/** Calls onEvent for each event of the channel. getToken fetches a token from your backend. */
export async function openStream(weir, channel, getToken, onEvent) {
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
    const source = new EventSource(`${events}?ticket=${ticket}&after=${after}`);
    source.onmessage = ({ data, lastEventId }) => {
      after = lastEventId;
      onEvent(data);
    };
    source.addEventListener("weir.token", ({ data }) => {
      request(`${weir}/v1/streams/${JSON.parse(data).stream}/token`, "POST").catch(console.error);
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
