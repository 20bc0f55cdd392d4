import type { Draft } from "../../lib/log/log.ts";
import type { PendingAppend } from "../../lib/log/pending_append.ts";
import { storeDrafts } from "../../lib/log/stored_drafts.ts";

/** Creates an append of `drafts` as the committer queues it. Its promise is left alone. */
export function pendingAppend(...drafts: readonly Draft[]): PendingAppend {
  const rows = drafts.flatMap(({ rows }) => rows === undefined ? [] : [rows]);
  return {
    drafts,
    channelKeys: [...new Set(drafts.map(({ channelKey }) => channelKey))],
    stored: storeDrafts(drafts),
    rowChecks: rows.flatMap(({ checks }) => checks),
    absentRows: rows.flatMap(({ absent }) => absent),
    bytes: 0,
    since: 0,
    settled: false,
    resolve() {},
    reject() {},
  };
}
