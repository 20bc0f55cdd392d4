import type { Published, PublishOptions, Weir } from "../api.ts";
import { WeirError } from "../core/weir_error.ts";
import { randomId } from "../../shared/random_id.ts";
import { type ChannelOf, nameOf, schemaOf } from "./typed_channel.ts";

/** Guards against an application that publishes what is always refused. */
const MAX_FAILED = 100;

/** An event that was published here and that the channel has not delivered yet. */
export interface PendingEvent<T = unknown> {
  readonly kind: "pending";
  readonly channel: string;
  /** The id that the stored event will have. */
  readonly id: string;
  readonly type: string;
  readonly key?: string | undefined;
  readonly data: T;
  /** The offset, once the event is stored. */
  readonly offset?: string | undefined;
}

/** An event that was published here and refused. */
export interface FailedEvent<T = unknown> extends Omit<PendingEvent<T>, "kind" | "offset"> {
  readonly kind: "failed";
  readonly error: WeirError;
  /** Publishes it again, with the same id. */
  readonly retry: () => void;
  /** Removes it from the items. */
  readonly dismiss: () => void;
}

export type OutgoingEvent<T = unknown> = PendingEvent<T> | FailedEvent<T>;

/** Told when an event changes. Undefined: it is gone. */
type OnOutgoing = (id: string, event: OutgoingEvent | undefined) => void;

/** The events of one channel that were published here, and the views that show them. */
interface Outgoing {
  /** Those that are neither stored nor dismissed. */
  readonly events: ReadonlyMap<string, OutgoingEvent>;
  readonly views: Set<OnOutgoing>;
  change(id: string, event: OutgoingEvent | undefined): void;
}

const OUTGOING = new WeakMap<Weir, Map<string, Outgoing>>();

/** Publishes to a channel, see {@link publisher}. */
export type Publish<Input> = (data: Input, options?: PublishOptions) => Promise<Published>;

/** Returns the events that were published to the channel by the hooks of this client. */
export function outgoingOf(weir: Weir, channel: string): Outgoing {
  const channels = OUTGOING.get(weir) ?? new Map<string, Outgoing>();
  OUTGOING.set(weir, channels);
  let outgoing = channels.get(channel);
  if (outgoing === undefined) channels.set(channel, outgoing = makeOutgoing());
  return outgoing;
}

function makeOutgoing(): Outgoing {
  const events = new Map<string, OutgoingEvent>();
  const views = new Set<OnOutgoing>();
  const change: Outgoing["change"] = (id, event) => {
    if (event?.kind === "failed" || (event && !event.offset)) events.set(id, event);
    else events.delete(id);
    for (const view of views) view(id, event);
  };
  return {
    events,
    views,
    change(id, event) {
      change(id, event);
      const failed = [...events.values()].filter(({ kind }) => kind === "failed");
      if (failed.length > MAX_FAILED) change(failed[0]!.id, undefined); // it has more than one
    },
  };
}

/**
 * Returns a function that publishes an event and shows it at once in the views of the channel: as
 * pending until they have received it, or as failed. It rejects as {@link Weir.publish} does; while
 * a view shows the failed event, a rejection that nobody handles is not reported.
 */
export function publisher<Input>(
  weir: Weir,
  channel: ChannelOf<unknown, Input>,
): Publish<Input> {
  const name = nameOf(channel);
  const schema = schemaOf(channel);
  const outgoing = outgoingOf(weir, name);
  return (data, options = {}) => {
    if (options.ephemeral) return weir.publish(name, data, options);
    const { id = randomId(), type = "message", key, signal } = options;
    const isShown = outgoing.views.size > 0;
    const send = async () => {
      let event = { channel: name, id, type, key, data: data as unknown };
      try {
        let result = schema?.["~standard"].validate(data);
        const show = () => {
          if (result && "value" in result) event = { ...event, data: result.value };
          outgoing.change(id, { ...event, kind: "pending" });
        };
        show();
        if (result instanceof Promise) {
          result = await result;
          show();
        }
        const issue = result && "issues" in result && result.issues?.[0];
        if (issue) throw new WeirError("bad_data", issue.message);
        const stored = await weir.publish(name, data, { ...options, id });
        outgoing.change(id, { ...event, kind: "pending", offset: stored.offset });
        return stored;
      } catch (cause) {
        const error = cause instanceof WeirError
          ? cause
          : new WeirError("bad_data", String(cause), { cause });
        const failed = {
          ...event,
          kind: "failed",
          error,
          retry: () => void send().catch(() => {}), // it is shown as failed again
          dismiss: () => outgoing.change(id, undefined),
        } as const;
        outgoing.change(id, isShown && !signal?.aborted ? failed : undefined);
        throw cause;
      }
    };
    const published = send();
    if (isShown) published.catch(() => {}); // a view shows it
    return published;
  };
}
