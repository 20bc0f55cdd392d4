import type { Hub } from "../../hub/hub.ts";
import type { Run } from "../../log/run.ts";
import { type ChannelKey, channelOf } from "../../shared/channel.ts";
import type { After, Cursor } from "../../shared/cursor.ts";
import { ORIGIN } from "../../shared/offset.ts";
import { jsonGap, jsonMembers } from "../json_encoding.ts";
import { ReadPositions, startPositions } from "../read_positions.ts";

/**
 * Data in a page with more than one event. Guards against pages of large events from many channels.
 */
export const PAGE_BYTES = 256 * 1024;

/** The answer to a poll. It has at most one gap, which comes before all events. */
export interface ReadPage {
  /** `{events, cursor, upToDate, gap?, ephemeral?}` as JSON text. */
  readonly body: string;
  readonly cursor: Cursor;
  /** Whether it has no event of any kind and no gap. */
  readonly isEmpty: boolean;
  /** The positions after the page. */
  readonly positions: ReadPositions;
}

/** The runs that were read from one of the polled channels. */
export interface ChannelRuns {
  /** The channel's index among the polled channels. */
  readonly index: number;
  readonly runs: readonly Run[];
}

export interface ReadOptions {
  readonly channelKeys: readonly ChannelKey[];
  readonly limit: number;
}

interface PageLimits {
  readonly limit: number;
  /** Whether no events follow the runs. */
  readonly isAll: boolean;
}

/** Reads the page after `after`. @throws {import("../../shared/problem.ts").Problem} `storage_*` */
export async function readPage(
  hub: Hub,
  after: After,
  { channelKeys, limit }: ReadOptions,
): Promise<ReadPage> {
  const starts = await startPositions(hub, channelKeys, after);
  const positions = new ReadPositions(channelKeys.map(channelOf), starts);
  // One event more than asked for shows whether more follow.
  const results = await Promise.all(
    channelKeys.map((channelKey, i) => hub.read(channelKey, starts[i] ?? ORIGIN, limit + 1)),
  );
  const found = results.map(({ runs }, index) => ({ index, runs }));
  const reached = results.map(({ runs, head }, i) => {
    const last = runs.at(-1)?.last ?? starts[i]?.sequence ?? 0;
    return head === undefined || last >= head.last;
  });
  return makePage(positions, found, { limit, isAll: reached.every((isAtHead) => isAtHead) });
}

/**
 * Makes a page of the runs that follow `positions`, and advances them. If a channel has a gap, the
 * page is of that channel alone. Otherwise the events of all channels are merged by time.
 */
export function makePage(
  positions: ReadPositions,
  found: readonly ChannelRuns[],
  { limit, isAll }: PageLimits,
): ReadPage {
  const withRuns = found.filter(({ runs }) => runs.length > 0);
  const gapped = withRuns.find(({ runs }) => runs[0]?.gap !== undefined);
  const parts = (gapped === undefined ? withRuns : [gapped])
    .flatMap(({ index, runs: [run] }) => run === undefined ? [] : [{ index, run }]);
  const taken = takeByTime(parts, limit);
  const events: string[] = [];
  for (const { index, at, run } of taken) {
    events.push(`{${run.encode(jsonMembers)[at]}}`);
    positions.advance(index, run.epoch, run.after + at + 1);
  }
  let gap = "";
  const [first] = parts;
  if (gapped !== undefined && first !== undefined) {
    gap = `,"gap":{${first.run.encode(jsonGap)}}`;
    if (taken.length === 0) positions.advance(first.index, first.run.epoch, first.run.after);
  }
  const total = withRuns.reduce(
    (n, { runs }) => n + runs.reduce((m, r) => m + r.events.length, 0),
    0,
  );
  const upToDate = isAll && taken.length === total &&
    (gapped === undefined || (withRuns.length === 1 && gapped.runs.length === 1));
  const { cursor } = positions;
  return {
    body: `{"events":[${events.join(",")}],"cursor":"${cursor}","upToDate":${upToDate}${gap}}`,
    cursor,
    isEmpty: taken.length === 0 && gap === "",
    positions,
  };
}

interface PageEvent {
  readonly index: number;
  readonly run: Run;
  /** The event's index in the run. */
  readonly at: number;
}

/**
 * Returns the first events by time, at most `limit` and at most {@link PAGE_BYTES}, but at least
 * one. The events of one channel keep their order.
 */
function takeByTime(
  parts: readonly { readonly index: number; readonly run: Run }[],
  limit: number,
): readonly PageEvent[] {
  const all = parts.flatMap(({ index, run }) => run.events.map((_, at) => ({ index, run, at })));
  if (parts.length > 1) {
    const timeOf = ({ run, at }: PageEvent) => run.events[at]?.time ?? 0;
    all.sort((a, b) => timeOf(a) - timeOf(b)); // stable, and time never falls within a channel
  }
  let bytes = 0;
  const end = all.findIndex(({ run, at }, count) => {
    bytes += run.events[at]?.data.length ?? 0;
    return count > 0 && bytes > PAGE_BYTES;
  });
  return all.slice(0, Math.min(limit, end === -1 ? all.length : end));
}
