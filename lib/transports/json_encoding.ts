import type { EphemeralEncoder } from "../hub/ephemeral_batch.ts";
import type { Encoder } from "../log/run.ts";
import { channelOf } from "../shared/channel.ts";
import { ephemeralMembers } from "../shared/ephemeral.ts";
import { eventMembers, gapMembers } from "../shared/event.ts";
import { formatOffset } from "../shared/offset.ts";

/** The members of each event's JSON, without braces: what pages and sockets build on. */
export const jsonMembers: Encoder<readonly string[]> = (run) => {
  const channel = JSON.stringify(channelOf(run.channelKey));
  return run.events.map((event) => eventMembers(channel, run.epoch, event));
};

/** The members of the run's gap notice, if it has one. */
export const jsonGap: Encoder<string> = (run) =>
  run.gap === undefined ? "" : gapMembers(JSON.stringify(channelOf(run.channelKey)), run.gap);

/** The WebSocket message of one run: a JSON object a line, the same for every subscriber. */
export const socketMessage: Encoder<string> = (run) => {
  const lines = run.encode(jsonMembers).map((members) => `{"op":"event",${members}}`);
  if (run.gap === undefined) return lines.join("\n");
  const cursor = formatOffset(run.epoch, run.after);
  return [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursor}"}`, ...lines].join("\n");
};

/** The members of each ephemeral event's JSON, without braces. */
export const jsonEphemeralMembers: EphemeralEncoder<readonly string[]> = (
  { channelKey, events },
) => {
  const channel = JSON.stringify(channelOf(channelKey));
  return events.map((event) => ephemeralMembers(channel, event));
};

/** The WebSocket message of ephemeral events: a JSON object a line. */
export const socketEphemeral: EphemeralEncoder<string> = (batch) =>
  batch.encode(jsonEphemeralMembers).map((members) => `{"op":"ephemeral",${members}}`).join("\n");
