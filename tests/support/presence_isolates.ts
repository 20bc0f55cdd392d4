import type { KvLog } from "../../lib/log/kv_log.ts";
import type { Draft } from "../../lib/log/log.ts";
import { isInboxWithoutSession } from "../../lib/presence/inbox.ts";
import type { Presence, PresenceOptions } from "../../lib/presence/presence.ts";
import {
  isPresenceWithoutMembers,
  presenceChannelKey,
} from "../../lib/presence/presence_channel.ts";
import type { Problem } from "../../lib/shared/problem.ts";
import type { FakeClock } from "./clock.ts";
import { readEvents } from "./log_reading.ts";
import type { IsolateOptions, LogStore } from "./log_stores.ts";
import { memberIn, openPresence, snapshotOf } from "./presence.ts";

export const ann = memberIn("room", "ann");
export const bob = memberIn("room", "bob");
export const room = ann.channelKey;

/** One isolate's presence and its log. */
export interface Isolate {
  readonly presence: Presence;
  readonly log: KvLog;
}

/** Opens an isolate on the store. It does due work only when {@link pass} lets it. */
export async function openIsolate(
  store: LogStore,
  { now }: FakeClock,
  options: Partial<PresenceOptions> = {},
  logOptions: IsolateOptions = {},
): Promise<Isolate> {
  const log = await store.isolate({
    now,
    random: () => 0.01,
    deleteWhenEmpty: async (channelKey) =>
      await isPresenceWithoutMembers(store.kv, channelKey) ||
      await isInboxWithoutSession(store.kv, channelKey),
    ...logOptions,
  });
  return { log, presence: openPresence({ kv: store.kv, log, now, monotonicNow: now, ...options }) };
}

/** Lets seconds pass. In each of them the isolates do the work that is due. */
export async function pass(
  clock: FakeClock,
  seconds: number,
  isolates: readonly Isolate[],
): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1_000);
    for (const { presence } of isolates) await presence.tick();
  }
}

/** Returns who is present in {@link room}, by name. */
export async function names({ presence }: Isolate): Promise<readonly string[]> {
  return [...(await snapshotOf(presence, room)).keys()].toSorted();
}

/** Returns all kept changes of {@link room}, such as `enter ann`. */
export async function changes({ log }: Isolate): Promise<readonly string[]> {
  const events = await readEvents(log, presenceChannelKey(room));
  return events.map(({ type, key }) => `${type} ${key}`);
}

/** Returns a log that rejects the drafts for which `refusal` returns a problem. */
export function refusing(
  log: KvLog,
  refusal: (draft: Draft) => Problem | undefined,
): PresenceOptions["log"] {
  return {
    bounds: (channelKey) => log.bounds(channelKey),
    append: (drafts) => {
      const problem = drafts.map(refusal).find((refused) => refused !== undefined);
      return problem === undefined ? log.append(drafts) : Promise.reject(problem);
    },
  };
}

/** Returns `kv` with calls that wait for `allow`, and fail if it rejects. */
export function guarded(kv: Deno.Kv, allow: () => Promise<void>): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target);
      if (name === "list") {
        return async function* (...args: Parameters<Deno.Kv["list"]>) {
          await allow();
          yield* target.list(...args);
        };
      }
      if (name === "atomic") {
        return () => {
          const atomic = target.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = () => allow().then(commit);
          return atomic;
        };
      }
      if (!["get", "getMany", "set", "delete"].includes(String(name))) return call;
      return (...args: unknown[]) => allow().then(() => call(...args));
    },
  });
}
