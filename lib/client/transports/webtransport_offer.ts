import { type TransportHost, urlOf } from "../connection/transport.ts";
import { isFatal, unreachableError } from "../core/errors.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { readRefusal } from "../core/refusal.ts";

/** Where the server has WebTransport. */
interface WebTransportOffer {
  readonly url: URL;
  /** Empty if the browser can verify the certificate by itself. */
  readonly certificateHashes: WebTransportHash[];
}

type OfferHost = Pick<TransportHost, "base" | "platform" | "signal">;

/**
 * Asks `GET /v1/transports`, without a credential: a ticket can be used only once.
 *
 * @throws {WeirError} `unreachable` if there is no WebTransport, or a fatal refusal. Throws other
 * errors if there is no answer, or one that cannot be read.
 */
export async function requestOffer(
  { base, platform, signal }: OfferHost,
): Promise<WebTransportOffer> {
  const url = urlOf(base, "/v1/transports");
  const response = await platform.fetch(url, { cache: "no-store", credentials: "omit", signal });
  if (!response.ok) {
    const refusal = await readRefusal(response);
    throw isFatal(refusal) ? refusal : noOfferError(refusal);
  }
  const { webtransport } = parseJsonObject(await response.text());
  if (webtransport === undefined) throw noOfferError();
  const { url: at, certificateHashes = [] } = webtransport as {
    readonly url: string;
    readonly certificateHashes?: readonly { readonly algorithm: string; readonly value: string }[];
  };
  return {
    url: new URL(at),
    certificateHashes: certificateHashes.map(({ algorithm, value }) => ({
      algorithm,
      value: Uint8Array.from(atob(value), (char) => char.charCodeAt(0)),
    })),
  };
}

function noOfferError(cause?: unknown) {
  return unreachableError("The server offers no WebTransport.", cause);
}
