import type { NotesEncoder } from "../hub/notes.ts";
import type { Encoder } from "../log/run.ts";
import { channelOf } from "../shared/channel.ts";
import { ephemeralMembers } from "../shared/ephemeral.ts";
import { eventMembers, gapMembers } from "../shared/event.ts";
import { formatOffset } from "../shared/offset.ts";

/** The members of each event's JSON, without braces: what pages and sockets build on. */
export const jsonMembers: Encoder<readonly string[]> = (run) => {
  const channel = JSON.stringify(channelOf(run.address));
  return run.events.map((event) => eventMembers(channel, run.epoch, event));
};

/** The members of the run's gap notice, if it has one. */
export const jsonGap: Encoder<string> = (run) =>
  run.gap === undefined ? "" : gapMembers(JSON.stringify(channelOf(run.address)), run.gap);

/** The WebSocket message of one run: a JSON object a line, the same for every subscriber. */
export const socketMessage: Encoder<string> = (run) => {
  const lines = run.encode(jsonMembers).map((members) => `{"op":"event",${members}}`);
  if (run.gap === undefined) return lines.join("\n");
  const cursor = formatOffset(run.epoch, run.after);
  return [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursor}"}`, ...lines].join("\n");
};

/** The members of each ephemeral event's JSON, without braces. */
export const jsonNoteMembers: NotesEncoder<readonly string[]> = ({ address, events }) => {
  const channel = JSON.stringify(channelOf(address));
  return events.map((event) => ephemeralMembers(channel, event));
};

/** The WebSocket message of ephemeral events: a JSON object a line. */
export const socketNotes: NotesEncoder<string> = (notes) =>
  notes.encode(jsonNoteMembers).map((members) => `{"op":"ephemeral",${members}}`).join("\n");
