import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";

/** A runtime for the client library, or for raw requests, that trusts one more certificate. */
export interface TrustingPlatform extends Platform, Disposable {
  readonly httpClient: Deno.HttpClient;
}

/** The option `client` is not in TypeScript's library. */
type WithClient<T> = T & { readonly client: Deno.HttpClient };

/**
 * Returns a platform whose requests and sockets trust `cert`.
 *
 * @param options `http2: false` for HTTP/1.1 only. By default both are offered.
 */
export function trustingPlatform(
  cert: string,
  options: Pick<Deno.CreateHttpClientOptions, "http1" | "http2"> = {},
): TrustingPlatform {
  const client = Deno.createHttpClient({ caCerts: [cert], ...options });
  class TrustingWebSocket extends WebSocket {
    constructor(url: URL, protocol: string) {
      const options: WithClient<{ readonly protocols: string[] }> = {
        protocols: [protocol],
        client,
      };
      super(url, options as unknown as string);
    }
  }
  return {
    ...PLATFORM,
    httpClient: client,
    fetch: (url, init) => {
      const options: WithClient<RequestInit> = { ...init, client };
      return fetch(url, options);
    },
    WebSocket: TrustingWebSocket,
    [Symbol.dispose]: () => client.close(),
  };
}
