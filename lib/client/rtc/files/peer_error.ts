import { WeirError } from "../../core/weir_error.ts";

/** The other side broke the protocol. */
export function peerError(what: string, cause?: unknown): WeirError {
  const detail = `The other side ${what}. Its software may be another version, or hostile.`;
  return new WeirError("bad_peer", detail, { cause });
}
