import { z } from "zod";
import { Console } from "../islands/console/console.tsx";
import type { ConsoleProps } from "../islands/console/console_model.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { isDeeperThan, MAX_JSON_DEPTH } from "../lib/shared/json_depth.ts";
import {
  type Channel,
  channelFault,
  channelKeyOf,
  parseReadableChannel,
} from "../lib/shared/channel.ts";
import type { WireEvent } from "../lib/shared/event.ts";
import type { Position } from "../lib/shared/offset.ts";
import { readPage } from "../lib/transports/poll/read_page.ts";
import type { Server } from "../lib/server.ts";
import { channelsPage, figuresOf } from "./channel_list.ts";
import type { PageDefinition } from "./page.tsx";

/** The channel that is shown if the URL names none and there are none. */
const FIRST_CHANNEL = "demo";
/** Channels and events that the page is rendered with. */
const CHANNELS = 100;
const HISTORY = 50;

const query = z.object({ channel: z.string().optional(), event: z.string().optional() });

/** `/`: the channels and the events of one of them. */
export const consolePage: PageDefinition<typeof query, ConsoleProps> = {
  name: "console",
  title: "Console",
  query,
  Island: Console,
  async load(server, caller, query) {
    const name = query.channel?.trim() ?? "";
    const chosen = name === "" ? undefined : parseReadableChannel(name);
    const channels = await channelsPage(server, caller, { after: "", limit: CHANNELS });
    const channel = chosen ?? channelToShow(caller, channels.channels);
    const content = channel === undefined ? undefined : await contentOf(server, caller, channel);
    const { publish, subscribe, presence, manage } = caller.authority.grant.scope;
    return {
      channels,
      ...channel !== undefined && { channel },
      isChosen: chosen !== undefined,
      event: query.event,
      ...content !== undefined && { content },
      rights: { publish, subscribe, presence, manage },
      isGuarded: !server.access.isOpen,
    };
  },
};

/**
 * Returns the channel with the newest event. Without one, the first channel if the visitor may use
 * it, or one that the credential names.
 */
function channelToShow(
  { authority }: Caller,
  channels: ConsoleProps["channels"]["channels"],
): Channel | undefined {
  const [latest] = channels.filter(({ channel }) => !channel.startsWith("$"))
    .sort((a, b) => a.changed < b.changed ? 1 : -1);
  if (latest !== undefined) return latest.channel as Channel; // as the store has it
  const { subscribe, publish } = authority.grant.scope;
  return [FIRST_CHANNEL, ...subscribe, ...publish].find((name): name is Channel =>
    !name.includes("*") && channelFault(name) === undefined &&
    (authority.mayRead(name as Channel) || authority.may("publish", name as Channel))
  );
}

/** Reads the channel's newest events and the cursor after them. */
async function contentOf(
  server: Server,
  caller: Caller,
  channel: Channel,
): Promise<ConsoleProps["content"]> {
  const { authority } = caller;
  if (!authority.mayRead(channel)) {
    server.access.audit.recordDenial(
      caller,
      `The page of ${JSON.stringify(channel)} was requested.`,
    );
    return undefined;
  }
  server.access.limiter.subscribe(caller, 1);
  const channelKey = channelKeyOf(authority.tenant, channel);
  const head = await server.log.head(channelKey);
  const after: "earliest" | readonly Position[] = head === undefined
    ? "earliest"
    : [{ epoch: head.epoch, sequence: Math.max(head.first - 1, head.last - HISTORY) }];
  const page = await readPage(server.hub, after, { channelKeys: [channelKey], limit: HISTORY });
  const { events: read }: { readonly events: readonly WireEvent[] } = JSON.parse(page.body);
  // Rendering recurses. The browser reads the events that are left out when it shows them.
  const events = read.filter(({ data }) => !isDeeperThan(data, MAX_JSON_DEPTH));
  const first = head === undefined ? null : figuresOf(channel, head, server.config).first;
  return { first, events, cursor: page.cursor };
}
