import type { EphemeralEncoder } from "../hub/ephemeral_batch.ts";
import type { Encoder } from "../log/run.ts";
import { channelOf } from "../shared/channel.ts";
import { ephemeralMembers } from "../shared/ephemeral.ts";
import { eventMembers, gapMembers } from "../shared/event.ts";

/** Encodes the members of each event's JSON, without braces. Pages and sockets add their own. */
export const jsonMembers: Encoder<readonly string[]> = (run) => {
  const channel = JSON.stringify(channelOf(run.channelKey));
  return run.events.map((event) => eventMembers(channel, run.epoch, event));
};

/** Encodes the members of the run's gap, without braces. Returns "" if there is none. */
export const jsonGap: Encoder<string> = (run) =>
  run.gap === undefined ? "" : gapMembers(JSON.stringify(channelOf(run.channelKey)), run.gap);

/** Encodes the members of each ephemeral event's JSON, without braces. */
export const jsonEphemeralMembers: EphemeralEncoder<readonly string[]> = (
  { channelKey, events },
) => {
  const channel = JSON.stringify(channelOf(channelKey));
  return events.map((event) => ephemeralMembers(channel, event));
};
