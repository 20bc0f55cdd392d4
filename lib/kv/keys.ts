import { type ChannelKey, channelOf, tenantOf } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";

const batches = (
  channelKey: ChannelKey,
  epoch: Epoch,
) => ["log", tenantOf(channelKey), channelOf(channelKey), epoch];
const chunks = (
  channelKey: ChannelKey,
  blob: string,
) => ["chunk", tenantOf(channelKey), channelOf(channelKey), blob];
const members = (channelKey: ChannelKey) => ["member", tenantOf(channelKey), channelOf(channelKey)];
const isolateMembers = (isolate: string) => ["stay", isolate];
const leaveRequests = (isolate: string) => ["parting", isolate];

/** Every key that Weir writes. Nothing else builds keys. */
export const keys = {
  /** → the channel's head. */
  head: (channelKey: ChannelKey) => ["head", tenantOf(channelKey), channelOf(channelKey)],
  heads: (tenant: string) => ["head", tenant],
  allHeads: () => ["head"],

  /** → how many channels the tenant has, as a sum. */
  channelCount: (tenant: string) => ["channels", tenant],

  /** → a record batch, by the sequence of its last event. */
  batch: (
    channelKey: ChannelKey,
    epoch: Epoch,
    last: number,
  ) => [...batches(channelKey, epoch), last],
  batches,

  /** → a part of an event that is too large for one value. */
  chunk: (
    channelKey: ChannelKey,
    blob: string,
    index: number,
  ) => [...chunks(channelKey, blob), index],
  chunks,

  /** → which chunks were written for an append whose commit is still to come. */
  orphan: (append: string) => ["orphan", append],
  orphans: () => ["orphan"],

  /** → where the event with this id is. */
  seen: (
    channelKey: ChannelKey,
    id: string,
  ) => ["seen", tenantOf(channelKey), channelOf(channelKey), id],

  /** → nothing: batches of this epoch wait for deletion. */
  sweep: (
    channelKey: ChannelKey,
    epoch: Epoch,
  ) => ["sweep", tenantOf(channelKey), channelOf(channelKey), epoch],
  sweeps: () => ["sweep"],

  /** Written by each commit that moved a channel of the shard. */
  wake: (shard: number) => ["wake", shard],
  /** → which channels a commit moved, by its versionstamp. */
  changes: (shard: number) => ["changed", shard],
  change: (shard: number, versionstamp: string) => ["changed", shard, versionstamp],

  /** → an API key's hash and all about it, by its id, which is no tenant's own. */
  apiKey: (id: string) => ["api_key", id],
  /** → what its tenant may know of an API key. */
  apiKeyInfo: (tenant: string, id: string) => ["api_key_info", tenant, id],
  apiKeyInfos: (tenant: string) => ["api_key_info", tenant],
  /** Written by each commit that adds a key to the tenant's: one after the other. */
  apiKeyTurn: (tenant: string) => ["api_key_turn", tenant],

  /** → a ticket's credential, by the ticket's hash. */
  ticket: (hash: string) => ["ticket", hash],

  /** → what all isolates must hear, by the versionstamp of its commit. */
  control: () => ["control"],

  // Presence. Stored names predate the words of the code and stay: a "stay" is a member of an
  // isolate, a "parting" is a request to leave, and rows keep their field names.

  /** → a member of the channel. */
  member: (channelKey: ChannelKey, member: string) => [...members(channelKey), member],
  members,
  /** → how many members the channel has, as a sum. */
  memberCount: (channelKey: ChannelKey) => ["members", tenantOf(channelKey), channelOf(channelKey)],
  /** → the lease of an isolate that has members. */
  isolate: (id: string) => ["isolate", id],
  isolates: () => ["isolate"],
  /** → nothing: the isolate has the member. */
  isolateMember: (isolate: string, channelKey: ChannelKey, member: string) => [
    ...isolateMembers(isolate),
    tenantOf(channelKey),
    channelOf(channelKey),
    member,
  ],
  isolateMembers,
  /** → nothing: the isolate must end an HTTP session of its member. */
  leaveRequest: (isolate: string, channelKey: ChannelKey, member: string, session: string) => [
    ...leaveRequests(isolate),
    tenantOf(channelKey),
    channelOf(channelKey),
    member,
    session,
  ],
  leaveRequests,

  /** → who does a background work until when. */
  lease: (work: string) => ["lease", work],
} as const satisfies Record<string, (...args: never[]) => Deno.KvKey>;
