/** Fetches over a connection of its own, which any isolate of a server may accept. */
export async function freshFetch(url: string, init: RequestInit = {}): Promise<Response> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const options: RequestInit & { client: Deno.HttpClient } = { ...init, client };
  const response = await fetch(url, options);
  return new Response(await response.text(), response);
}
