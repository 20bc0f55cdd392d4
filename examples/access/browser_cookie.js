/** Makes the token a session cookie. Do it again with a new token before that one expires. */
export async function startSession(weir, token) {
  const answer = await fetch(`${weir}/v1/tickets`, {
    method: "POST",
    credentials: "include",
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ as: "cookie" }),
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
}

/** Reconnects by itself, with the cookie that is there then. */
export function openStream(weir, channel) {
  const events = `${weir}/v1/channels/${encodeURIComponent(channel)}/events`;
  return new EventSource(events, { withCredentials: true });
}

export async function publish(weir, channel, data) {
  const answer = await fetch(`${weir}/v1/channels/${encodeURIComponent(channel)}/events`, {
    method: "POST",
    credentials: "include",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(data),
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
}

/** At sign-out. */
export async function endSession(weir) {
  await fetch(`${weir}/v1/tickets`, { method: "DELETE", credentials: "include" });
}
