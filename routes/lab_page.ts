import { z } from "zod";
import { peerChannel } from "../islands/lab/peer_channel.ts";
import { comparedChannels } from "../islands/lab/compared_channels.ts";
import { Lab, type LabProps } from "../islands/lab/lab.tsx";
import { type Channel, parseChannel } from "../lib/shared/channel.ts";
import type { PageDefinition } from "./page.tsx";

const DEFAULT_CHANNEL = "lab";

/** Stands for the random id of a page, which only a pattern of rights can match. */
const ANY_ID = "0".repeat(12);

const query = z.object({ channel: z.string().optional() });

/** `/lab`: one channel over all transports, side by side. */
export const labPage: PageDefinition<typeof query, LabProps> = {
  name: "lab",
  title: "Transport lab",
  query,
  Island: Lab,
  load(_server, { authority }, query) {
    const channel = parseChannel(query.channel?.trim() || DEFAULT_CHANNEL);
    const peers = peerChannel(channel, ANY_ID) as Channel;
    return {
      channel,
      mayRead: authority.may("subscribe", channel),
      mayPublish: authority.may("publish", channel),
      mayCompare: comparedChannels(channel).every((compared) =>
        authority.may("subscribe", compared as Channel) &&
        authority.may("publish", compared as Channel)
      ),
      mayConnect: authority.may("presence", peers),
      subject: authority.grant.subject,
    };
  },
};
