/** Returns a port that was free a moment ago. Prefer port 0 where that is possible. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
