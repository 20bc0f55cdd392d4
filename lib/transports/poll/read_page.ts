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
/**
 * Channels that are read at the same time for a page. Guards against a poll of many channels for
 * which each of them is read as far as a page reaches, and kept until all have been.
 */
const READS_AT_ONCE = 10;

/** The answer to a poll. It has at most one gap, which comes before all events. */
export interface ReadPage {
  /** `{events, cursor, upToDate, gap?, ephemeral?}` as JSON text. */
  readonly body: string;
  readonly cursor: Cursor;
  /** Whether it has no event of any kind and no gap. */
  readonly isEmpty: boolean;
  /** The positions after the page. */
  readonly positions: ReadPositions;
  /** What it has of each channel that it has something of. */
  readonly parts: readonly PagePart[];
}

/** What a page has of one of the polled channels. */
interface PagePart {
  /** The channel's index among the polled channels. */
  readonly index: number;
  readonly events: number;
  readonly hasGap: boolean;
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
  hub: Pick<Hub, "earliest" | "latest" | "read">,
  after: After,
  { channelKeys, limit }: ReadOptions,
): Promise<ReadPage> {
  const starts = await startPositions(hub, channelKeys, after);
  const positions = new ReadPositions(channelKeys.map(channelOf), starts);
  let found: readonly ChannelRuns[] = [];
  let isAll = true;
  for (let from = 0; from < channelKeys.length; from += READS_AT_ONCE) {
    const reads = channelKeys.slice(from, from + READS_AT_ONCE).map(async (channelKey, i) => {
      const index = from + i;
      const start = starts[index] ?? ORIGIN;
      // One event more than asked for shows whether more follow.
      const { runs, head } = await hub.read(channelKey, start, limit + 1);
      if (head !== undefined && (runs.at(-1)?.last ?? start.sequence) < head.last) isAll = false;
      return { index, runs };
    });
    const all = [...found, ...await Promise.all(reads)];
    found = fitting(all, limit);
    if (eventsOf(found) < eventsOf(all) || runsOf(found) < runsOf(all)) isAll = false;
  }
  return makePage(positions, found, { limit, isAll });
}

/**
 * Returns what a page of `found` has, and the first event after it, at which a page of more channels
 * ends too.
 */
function fitting(found: readonly ChannelRuns[], limit: number): readonly ChannelRuns[] {
  const gapped = found.find(hasGap);
  const first = gapped === undefined ? found : [gapped];
  const { events, next } = takeByTime(firstRuns(first), limit);
  const counts = countByChannel(events);
  if (next !== undefined) counts.set(next.index, next.at + 1);
  return first.flatMap(({ index, runs }) => {
    const [run] = runs;
    const count = counts.get(index) ?? 0;
    if (run === undefined || (count === 0 && run.gap === undefined)) return [];
    return [{ index, runs: [run.upTo(count)] }];
  });
}

function hasGap({ runs }: ChannelRuns): boolean {
  return runs[0]?.gap !== undefined;
}

/** Returns what a page can have: the first run of each channel. */
function firstRuns(found: readonly ChannelRuns[]): readonly FirstRun[] {
  return found.flatMap(({ index, runs: [run] }) => run === undefined ? [] : [{ index, run }]);
}

function eventsOf(found: readonly ChannelRuns[]): number {
  return found.reduce((n, { runs }) => n + runs.reduce((m, { events }) => m + events.length, 0), 0);
}

function runsOf(found: readonly ChannelRuns[]): number {
  return found.reduce((n, { runs }) => n + runs.length, 0);
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
  const gapped = withRuns.find(hasGap);
  const parts = firstRuns(gapped === undefined ? withRuns : [gapped]);
  const { events } = takeByTime(parts, limit);
  const texts: string[] = [];
  for (const { index, at, run } of events) {
    texts.push(`{${run.encode(jsonMembers)[at]}}`);
    positions.advance(index, run.epoch, run.after + at + 1);
  }
  let gap = "";
  const [first] = parts;
  if (gapped !== undefined && first !== undefined) {
    gap = `,"gap":{${first.run.encode(jsonGap)}}`;
    if (events.length === 0) positions.advance(first.index, first.run.epoch, first.run.after);
  }
  const upToDate = isAll && events.length === eventsOf(withRuns) &&
    (gapped === undefined || (withRuns.length === 1 && gapped.runs.length === 1));
  const { cursor } = positions;
  const counts = countByChannel(events);
  const pageParts = parts.flatMap(({ index, run }) => {
    const part = { index, events: counts.get(index) ?? 0, hasGap: run.gap !== undefined };
    return part.events > 0 || part.hasGap ? [part] : [];
  });
  return {
    body: `{"events":[${texts.join(",")}],"cursor":"${cursor}","upToDate":${upToDate}${gap}}`,
    cursor,
    isEmpty: pageParts.length === 0,
    positions,
    parts: pageParts,
  };
}

/** The first run that was read from one of the polled channels. */
interface FirstRun {
  /** The channel's index among the polled channels. */
  readonly index: number;
  readonly run: Run;
}

interface PageEvent extends FirstRun {
  /** The event's index in the run. */
  readonly at: number;
}

/** Returns how many of the events are of each channel, by its index. They are its first ones. */
function countByChannel(events: readonly PageEvent[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { index, at } of events) counts.set(index, at + 1);
  return counts;
}

/**
 * Returns the events of a page by time: at most `limit` and at most {@link PAGE_BYTES}, but at least
 * one. The events of one channel keep their order. `next` is the event after them.
 */
function takeByTime(
  parts: readonly FirstRun[],
  limit: number,
): { readonly events: readonly PageEvent[]; readonly next: PageEvent | undefined } {
  const events: PageEvent[] = [];
  let bytes = 0;
  for (const event of byTime(parts)) {
    bytes += event.run.events[event.at]?.data.length ?? 0;
    if (events.length === limit || (events.length > 0 && bytes > PAGE_BYTES)) {
      return { events, next: event };
    }
    events.push(event);
  }
  return { events, next: undefined };
}

/** Merges the events of all parts: of those that are next in their parts, the oldest comes first. */
function* byTime(parts: readonly FirstRun[]): Generator<PageEvent> {
  const nexts = parts.map(({ index, run }) => ({ index, run, at: 0, time: timeAt(run, 0) }));
  while (true) {
    let oldest = nexts[0];
    for (const next of nexts) {
      if (oldest === undefined || next.time < oldest.time) oldest = next;
    }
    if (oldest === undefined || oldest.time === Infinity) return;
    const { index, run, at } = oldest;
    yield { index, run, at };
    oldest.at++;
    oldest.time = timeAt(run, oldest.at);
  }
}

/** Returns the time of an event of the run, and Infinity after the last one. */
function timeAt(run: Run, at: number): number {
  return run.events[at]?.time ?? Infinity;
}
