import { z } from "zod";
import { Call, type CallProps } from "../islands/call/call.tsx";
import { channelOf, parseRoom } from "../islands/call/room_name.ts";
import { parseChannel } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { PageDefinition } from "./page.tsx";

const query = z.object({ room: z.string().optional() });

/** `/call`: a call between the people in a room. Without `room` it asks for one. */
export const callPage: PageDefinition<typeof query, CallProps> = {
  name: "call",
  title: "Call",
  query,
  devices: ["camera", "display-capture", "microphone"],
  Island: Call,
  load(_server, { authority }, query) {
    const { subject } = authority.grant;
    if (query.room === undefined || query.room.trim() === "") return { subject, mayJoin: true };
    const parsed = parseRoom(query.room);
    if ("fault" in parsed) throw new Problem("bad_channel", parsed.fault);
    const channel = parseChannel(channelOf(parsed.room));
    return { room: parsed.room, subject, mayJoin: authority.may("presence", channel) };
  },
};
