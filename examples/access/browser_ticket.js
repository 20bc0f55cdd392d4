// deno-lint-ignore-file no-console
/** Calls onEvent for each event of the channel. getToken asks your backend for a token. */
export async function openStream(weir, channel, getToken, onEvent) {
  const events = `${weir}/v1/channels/${encodeURIComponent(channel)}/events`;
  const ask = async (url, method) => {
    const headers = { Authorization: `Bearer ${await getToken()}` };
    const answer = await fetch(url, { method, headers });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer;
  };
  let after = (await ask(`${events}?after=latest`, "GET")).headers.get("Weir-Cursor");

  async function connect() {
    const { ticket } = await (await ask(`${weir}/v1/tickets`, "POST")).json();
    const source = new EventSource(`${events}?ticket=${ticket}&after=${after}`);
    source.onmessage = ({ data, lastEventId }) => {
      after = lastEventId;
      onEvent(data);
    };
    source.addEventListener("weir.token", ({ data }) => {
      ask(`${weir}/v1/streams/${JSON.parse(data).stream}/token`, "POST").catch(console.error);
    });
    // Its own reconnect would bring the ticket again, which is used.
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
