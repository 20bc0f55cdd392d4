import type { ReadonlySignal } from "@preact/signals";
import type { LaneRecord } from "./lane_record.ts";

/** A way for events to arrive, which can be cut and throttled. */
export interface LaneView {
  readonly record: LaneRecord;
  readonly isCut: ReadonlySignal<boolean>;
  readonly isThrottled: ReadonlySignal<boolean>;
  /** Says why reading has ended. */
  readonly problem: ReadonlySignal<string | undefined>;
  cut(): void;
  resume(): void;
  throttle(isOn: boolean): void;
}
