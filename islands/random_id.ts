/** 128 bits. Not `randomUUID()`: a page that isn't on localhost or HTTPS doesn't have it. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
