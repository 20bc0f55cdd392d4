/**
 * Fetches over a connection of its own, which any isolate of a server may accept. Repeats it if the
 * connection is reset: Linux does that when another isolate begins to listen at that moment.
 */
export async function freshFetch(url: string, init: RequestInit = {}): Promise<Response> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const options: RequestInit & { client: Deno.HttpClient } = { ...init, client };
  while (true) {
    try {
      const response = await fetch(url, options);
      return new Response(await response.text(), response);
    } catch (cause) {
      const reason = cause instanceof Error ? String(cause.cause) : "";
      if (!/reset by peer/.test(reason)) throw cause;
    }
  }
}
