/** Stores the token in a session cookie. Repeat with a new token before the last one expires. */
export async function setSessionCookie(weir, token) {
  const response = await fetch(`${weir}/v1/tickets`, {
    method: "POST",
    credentials: "include",
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ as: "cookie" }),
  });
  if (!response.ok) throw new Error((await response.json()).detail);
}

/** EventSource reconnects by itself and sends the current cookie. */
export function openStream(weir, channel) {
  const events = `${weir}/v1/channels/${encodeURIComponent(channel)}/events`;
  return new EventSource(events, { withCredentials: true });
}

export async function publish(weir, channel, data) {
  const response = await fetch(`${weir}/v1/channels/${encodeURIComponent(channel)}/events`, {
    method: "POST",
    credentials: "include",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(data),
  });
  if (!response.ok) throw new Error((await response.json()).detail);
}

/** Call it when the user signs out. */
export async function deleteSessionCookie(weir) {
  await fetch(`${weir}/v1/tickets`, { method: "DELETE", credentials: "include" });
}
