import { z } from "zod";
import { Drop, type DropProps } from "../islands/drop/drop.tsx";
import { channelOf, FIRST_ROOM, parseRoom } from "../islands/drop/room_name.ts";
import { parseChannel } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { PageDefinition } from "./page.tsx";

const query = z.object({ room: z.string().optional() });

/** `/drop`: files between the people in a room, from browser to browser. */
export const dropPage: PageDefinition<typeof query, DropProps> = {
  name: "drop",
  title: "Drop",
  query,
  Island: Drop,
  load(_server, { authority }, query) {
    const parsed = parseRoom(query.room?.trim() || FIRST_ROOM);
    if ("fault" in parsed) throw new Problem("bad_channel", parsed.fault);
    const channel = parseChannel(channelOf(parsed.room));
    const mayJoin = authority.may("presence", channel);
    return { room: parsed.room, subject: authority.grant.subject, mayJoin };
  },
};
