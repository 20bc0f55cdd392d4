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
const seenIds = (channelKey: ChannelKey) => ["seen", tenantOf(channelKey), channelOf(channelKey)];
const members = (channelKey: ChannelKey) => ["member", tenantOf(channelKey), channelOf(channelKey)];
const isolateMembers = (isolate: string) => ["stay", isolate];
const leaveRequests = (isolate: string) => ["parting", isolate];

/** Builds every key that Weir writes; nothing else does. */
export const keys = {
  /** → the channel's head. */
  head: (channelKey: ChannelKey) => ["head", tenantOf(channelKey), channelOf(channelKey)],
  /** → the head of a deleted channel, or 0 since the channel exists again. */
  life: (channelKey: ChannelKey) => ["life", tenantOf(channelKey), channelOf(channelKey)],
  lives: () => ["life"],
  heads: (tenant: string) => ["head", tenant],
  allHeads: () => ["head"],

  /** → the number of the tenant's channels, as a sum. */
  channelCount: (tenant: string) => ["channels", tenant],

  /** → a record batch. `last` is the sequence of its last event. */
  batch: (
    channelKey: ChannelKey,
    epoch: Epoch,
    last: number,
  ) => [...batches(channelKey, epoch), last],
  batches,

  /** → one part of an event that is too large for one value. */
  chunk: (
    channelKey: ChannelKey,
    blob: string,
    index: number,
  ) => [...chunks(channelKey, blob), index],
  chunks,

  /** → the chunks that were written for an append before its commit. */
  orphan: (append: string) => ["orphan", append],
  orphans: () => ["orphan"],

  /** → epoch and sequence of the event with this id. */
  seen: (channelKey: ChannelKey, id: string) => [...seenIds(channelKey), id],
  seenIds,

  /** → which rows of an epoch wait for deletion, or are those of an import that is under way. */
  sweep: (
    channelKey: ChannelKey,
    epoch: Epoch,
  ) => ["sweep", tenantOf(channelKey), channelOf(channelKey), epoch],
  sweeps: () => ["sweep"],
  /** → the lease of the import of a channel. */
  importLease: (channelKey: ChannelKey) => [
    "import",
    tenantOf(channelKey),
    channelOf(channelKey),
  ],

  /** Written by each commit that stored events in a channel of the shard. */
  wake: (shard: number) => ["wake", shard],
  /** → a row of the shard's change journal, by the versionstamp of its commit. */
  changes: (shard: number) => ["changed", shard],
  change: (shard: number, versionstamp: string) => ["changed", shard, versionstamp],

  /** → an API key and its hash. Ids are unique across tenants. */
  apiKey: (id: string) => ["api_key", id],
  /** → the part of an API key that its tenant sees. */
  apiKeyInfo: (tenant: string, id: string) => ["api_key_info", tenant, id],
  apiKeyInfos: (tenant: string) => ["api_key_info", tenant],
  /** Written by each commit that adds an API key of the tenant, so that they don't overlap. */
  lastAddedApiKey: (tenant: string) => ["api_key_turn", tenant],

  /** → a ticket's grant, by the ticket's hash. */
  ticket: (hash: string) => ["ticket", hash],

  /** → an entry of the control journal, by the versionstamp of its commit. */
  control: () => ["control"],

  // Presence. Stored names predate the words of the code and stay: a "stay" is a member of an
  // isolate, a "parting" is a request to leave, and rows keep their field names.

  /** → a member of the channel. */
  member: (channelKey: ChannelKey, member: string) => [...members(channelKey), member],
  members,
  /** → the number of the channel's members, as a sum. */
  memberCount: (channelKey: ChannelKey) => ["members", tenantOf(channelKey), channelOf(channelKey)],
  /** → the lease of an isolate that has members. */
  isolate: (id: string) => ["isolate", id],
  isolates: () => ["isolate"],
  /** → nothing. Marks that the isolate has the member. */
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

  /** → the lease of background work. */
  lease: (work: string) => ["lease", work],

  /** → the time of the last pass of retention. */
  retentionClock: () => ["retention_clock"],
} as const satisfies Record<string, (...args: never[]) => Deno.KvKey>;
