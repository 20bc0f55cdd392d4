/**
 * The ports to choose from. Linux takes those of outgoing connections from 32,768 on by default, so
 * none of these is taken while a server that had it restarts.
 */
const PORTS = { first: 20_000, count: 12_000 };

/** Returns a port that was free a moment ago. */
export function freePort(): number {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (cause) {
      if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    }
  }
}
