import { z } from "zod";
import { Lab, type LabProps } from "../islands/lab/lab.tsx";
import { parseChannel } from "../lib/shared/channel.ts";
import type { PageDefinition } from "./page.tsx";

const DEFAULT_CHANNEL = "lab";

const query = z.object({ channel: z.string().optional() });

/** `/lab`: one channel over all transports, side by side. */
export const labPage: PageDefinition<typeof query, LabProps> = {
  name: "lab",
  title: "Transport lab",
  query,
  Island: Lab,
  load(_server, { authority }, query) {
    const channel = parseChannel(query.channel?.trim() || DEFAULT_CHANNEL);
    return {
      channel,
      mayRead: authority.may("subscribe", channel),
      mayPublish: authority.may("publish", channel),
    };
  },
};
