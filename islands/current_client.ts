import { signal } from "@preact/signals";
import type { Weir } from "../lib/client/api.ts";

/** The page's client; none on the server, and before the page has asked for one. */
export const currentClient = signal<Weir>();
