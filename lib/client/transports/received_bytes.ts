import type { JsonObject } from "../core/json_object.ts";
import { RECEIVED_STEP_BYTES } from "../../shared/webtransport.ts";

interface StreamBytes {
  /** Bytes since the stream began. */
  total: number;
  acknowledged: number;
}

/** Counts the bytes that were taken from event streams, and makes the acknowledgements. */
export class ReceivedBytes {
  readonly #streams = new Map<number, StreamBytes>();
  /** Bytes since the last acknowledgement, over all streams. */
  #unacknowledged = 0;

  /** Counts bytes of a stream. Returns the acknowledgement that is due, if one is. */
  add(stream: number, bytes: number): JsonObject | undefined {
    const counted = this.#streams.get(stream) ?? { total: 0, acknowledged: 0 };
    this.#streams.set(stream, counted);
    counted.total += bytes;
    this.#unacknowledged += bytes;
    if (this.#unacknowledged < RECEIVED_STEP_BYTES) return undefined;
    this.#unacknowledged = 0;
    const changed = [...this.#streams].filter(([, { total, acknowledged }]) => {
      return total > acknowledged;
    });
    for (const [, one] of changed) one.acknowledged = one.total;
    const streams = Object.fromEntries(changed.map(([number, { total }]) => [number, total]));
    return { op: "received", streams };
  }

  /** Forgets a stream that has ended: the server has forgotten it too. */
  end(stream: number): void {
    const { total, acknowledged } = this.#streams.get(stream) ?? { total: 0, acknowledged: 0 };
    this.#unacknowledged -= total - acknowledged;
    this.#streams.delete(stream);
  }
}
