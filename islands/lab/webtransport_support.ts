import type { TransportName } from "../../lib/client/api.ts";

/** Returns why this page cannot use WebTransport, or undefined if it can. */
export async function whyNoWebTransport(): Promise<string | undefined> {
  if (!globalThis.isSecureContext) return "Browsers have WebTransport only on pages by HTTPS.";
  if (globalThis.WebTransport === undefined) return "This browser has no WebTransport.";
  try {
    const response = await fetch("/v1/transports");
    const { transports }: { readonly transports: readonly TransportName[] } = await response.json();
    if (transports.includes("webtransport")) return undefined;
    return "This server offers no WebTransport.";
  } catch {
    return "The server did not say whether it offers WebTransport. Reload to ask again.";
  }
}
