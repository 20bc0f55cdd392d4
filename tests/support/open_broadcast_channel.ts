import { BroadcastChannel } from "node:worker_threads";

/**
 * Keeps a BroadcastChannel open as long as the isolate runs. In Deno 2.9.6 all channels of an isolate
 * share one receiver, which ends shortly after the last of them was closed. A channel that is opened
 * meanwhile cannot send, or leaves a receiver behind that counts as a leak. Import this file where
 * channels are opened and closed, such as those of doorbells.
 */
new BroadcastChannel("stays open").unref();
