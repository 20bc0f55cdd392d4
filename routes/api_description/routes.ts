import { getAssetDescription } from "../assets.ts";
import {
  deleteChannelDescription,
  getChannelDescription,
  listChannelsDescription,
  putChannelDescription,
} from "../channels.ts";
import { healthzDescription, readyzDescription } from "../health.ts";
import { postIceDescription } from "../ice.ts";
import {
  createKeyDescription,
  deleteKeyDescription,
  listKeysDescription,
  rotateKeyDescription,
} from "../keys.ts";
import {
  deleteMemberDescription,
  listMembersDescription,
  putMemberDescription,
} from "../members.ts";
import { getMetricsDescription } from "../metrics.ts";
import { pageDescriptions } from "../pages.ts";
import { publishBodyDescription, publishJsonDescription } from "../publish_events.ts";
import { readChannelDescription, readChannelsDescription } from "../read_events.ts";
import { listRevocationsDescription, postRevocationDescription } from "../revocations.ts";
import { postSignalDescription } from "../signals.ts";
import { openSocketDescription } from "../socket.ts";
import { postStreamTokenDescription } from "../stream_token.ts";
import { deleteTicketDescription, postTicketDescription } from "../tickets.ts";
import { getTransportsDescription } from "../transports.ts";
import {
  getAsyncApiDescription,
  getDocDescription,
  getLlmsDescription,
  getOpenApiDescription,
} from "./document_routes.ts";
import type { RouteDescription } from "./route_description.ts";

type Method = "GET" | "POST" | "PUT" | "DELETE";
type Descriptions = Readonly<
  Record<string, Readonly<Partial<Record<Method, RouteDescription>>>>
>;

/**
 * The description of every route, by the path in the tables of `app.ts` and the method. In the order
 * in which people read them.
 */
export const ROUTES: Descriptions = {
  "/v1/channels/:channel/events": { POST: publishBodyDescription, GET: readChannelDescription },
  "/v1/events": { POST: publishJsonDescription, GET: readChannelsDescription },
  "/v1/socket": { GET: openSocketDescription },
  "/v1/channels": { GET: listChannelsDescription },
  "/v1/channels/:channel": {
    GET: getChannelDescription,
    PUT: putChannelDescription,
    DELETE: deleteChannelDescription,
  },
  "/v1/channels/:channel/members": { GET: listMembersDescription },
  "/v1/channels/:channel/members/:member": {
    PUT: putMemberDescription,
    DELETE: deleteMemberDescription,
  },
  "/v1/channels/:channel/members/:member/signals": { POST: postSignalDescription },
  "/v1/ice": { POST: postIceDescription },
  "/v1/tickets": { POST: postTicketDescription, DELETE: deleteTicketDescription },
  "/v1/streams/:id/token": { POST: postStreamTokenDescription },
  "/v1/keys": { GET: listKeysDescription, POST: createKeyDescription },
  "/v1/keys/:id": { DELETE: deleteKeyDescription },
  "/v1/keys/:id/rotate": { POST: rotateKeyDescription },
  "/v1/revocations": { GET: listRevocationsDescription, POST: postRevocationDescription },
  "/v1/transports": { GET: getTransportsDescription },
  "/healthz": { GET: healthzDescription },
  "/readyz": { GET: readyzDescription },
  "/metrics": { GET: getMetricsDescription },
  "/openapi.json": { GET: getOpenApiDescription },
  "/asyncapi.json": { GET: getAsyncApiDescription },
  ...pageDescriptions(),
  "/llms.txt": { GET: getLlmsDescription },
  "/docs/:path{.+}": { GET: getDocDescription },
  "/assets/:file": { GET: getAssetDescription },
};
