/** The client library of Weir: docs/client.md. */

import type { ConnectOptions, Weir } from "./api.ts";
import { PLATFORM } from "./core/platform.ts";
import { makeClient } from "./make_client.ts";

export type * from "./api.ts";
export { TRANSPORTS } from "./api.ts";
export { type ClientCode, WeirError } from "./core/weir_error.ts";
export { webStorage } from "./reading/web_storage.ts";

/**
 * Makes a client of the Weir server at `url`, which may be relative to the page. It connects when
 * it is first needed.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Weir {
  return makeClient(url, options, PLATFORM);
}
