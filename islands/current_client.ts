import { signal } from "@preact/signals";
import type { Weir } from "../lib/client/api.ts";

/** The page's client. Undefined on the server and before the page opens one. */
export const currentClient = signal<Weir>();
