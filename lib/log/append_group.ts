import type { ChannelKey } from "../shared/channel.ts";
import type { PendingAppend } from "./pending_append.ts";
import { ATOMIC_DATA_BYTES, ATOMIC_KEY_BYTES, channelKeyBytes } from "./stored_drafts.ts";

interface AppendGroup {
  /** The appends of the next commit. Empty if none can be committed now. */
  readonly group: readonly PendingAppend[];
  /** The appends that are left, in their order. */
  readonly queue: PendingAppend[];
}

/**
 * Takes the next appends from `queue` that fit into one commit, in order.
 *
 * An append waits while one of its channels is in `busy`, or has an earlier append that waits: the
 * appends of a channel keep their order. An append with early chunks is alone in its commit.
 *
 * @param maxChecks checks that a commit of this store may have: one per channel and checked row.
 */
export function takeGroup(
  queue: PendingAppend[],
  busy: ReadonlySet<ChannelKey>,
  maxChecks: number,
): AppendGroup {
  const group: PendingAppend[] = [];
  const waiting: PendingAppend[] = [];
  const channels = new Set<ChannelKey>();
  const blocked = new Set<ChannelKey>();
  let atomicBytes = 0;
  let keyBytes = 0;
  let rowChecks = 0;
  let at = 0;
  for (; at < queue.length; at++) {
    const pending = queue[at] as PendingAppend; // at < length
    const { channelKeys, stored } = pending;
    const isFree = channelKeys.every((channelKey) =>
      !busy.has(channelKey) && !blocked.has(channelKey)
    );
    if (!isFree) {
      waiting.push(pending);
      for (const channelKey of channelKeys) blocked.add(channelKey);
      continue;
    }
    const added = channelKeys.filter((channelKey) => !channels.has(channelKey));
    const addedKeyBytes = stored.keyBytes + channelKeysBytes(added);
    const hasEarly = stored.early !== undefined;
    const fits = group.length === 0 || (
      !hasEarly && atomicBytes + stored.atomicBytes <= ATOMIC_DATA_BYTES &&
      keyBytes + addedKeyBytes <= ATOMIC_KEY_BYTES &&
      channels.size + added.length + rowChecks + pending.rowChecks.length <= maxChecks
    );
    if (!fits) break;
    group.push(pending);
    atomicBytes += stored.atomicBytes;
    keyBytes += addedKeyBytes;
    rowChecks += pending.rowChecks.length;
    for (const channelKey of added) channels.add(channelKey);
    if (hasEarly) {
      at++;
      break;
    }
  }
  return group.length === 0 ? { group, queue } : { group, queue: waiting.concat(queue.slice(at)) };
}

/** Returns an upper bound of the key bytes that the channels add to a commit. */
export function channelKeysBytes(channelKeys: Iterable<ChannelKey>): number {
  let bytes = 0;
  for (const channelKey of channelKeys) bytes += channelKeyBytes(channelKey);
  return bytes;
}
