import { z } from "zod";
import { Chat, type ChatProps } from "../islands/chat/chat.tsx";
import { channelOf, FIRST_ROOM, parseRoom } from "../islands/chat/room_name.ts";
import { parseChannel } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { PageDefinition } from "./page.tsx";

const query = z.object({ room: z.string().optional() });

/** `/chat`: rooms, which are channels. The island says what the visitor has no rights for. */
export const chatPage: PageDefinition<typeof query, ChatProps> = {
  name: "chat",
  title: "Chat",
  query,
  Island: Chat,
  load(_server, { authority }, query) {
    const parsed = parseRoom(query.room?.trim() || FIRST_ROOM);
    if ("fault" in parsed) throw new Problem("bad_channel", parsed.fault);
    parseChannel(channelOf(parsed.room));
    const { subject, scope } = authority.grant;
    const { publish, subscribe, presence, manage } = scope;
    return { room: parsed.room, subject, rights: { publish, subscribe, presence, manage } };
  },
};
