import { CliError } from "../keys_cli/cli_error.ts";
import type { Store } from "../kv/store.ts";
import { ChannelImport } from "../log/channel_import.ts";
import { ImportRefusedError } from "../log/import_lease.ts";
import type { Retention } from "../log/log.ts";
import { retentionOf } from "../log/retention_limits.ts";
import { readLines } from "../publish_cli/input_lines.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { LogEvent } from "../shared/event.ts";
import { Problem } from "../shared/problem.ts";
import {
  type ChannelLine,
  type HeadLine,
  LineError,
  MAX_LINE_BYTES,
  parseChannelLine,
} from "./channel_lines.ts";

interface ImportChannelsOptions {
  readonly store: Pick<Store, "kv" | "doorbell" | "traits">;
  readonly input: ReadableStream<Uint8Array>;
  readonly tenant: Tenant;
  /** What channels keep here without settings of their own. */
  readonly retention: Retention;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Ends the import. The current channel can be continued. */
  readonly stop: AbortSignal;
  /** Called after each line. */
  readonly onProgress: (report: ImportReport) => void;
  /** Called if another import of the channel may be running, before up to 10 s of waiting. */
  readonly onWaiting: (channel: Channel) => void;
  /** Called for each channel that is not imported. */
  readonly onRefused: (channel: Channel, why: string) => void;
}

/** What has become of the input so far. */
interface ImportReport {
  readonly channels: number;
  /** Those of them of which an interrupted import had written a part. */
  readonly continued: number;
  /** Channels that were there already, with the same offsets. */
  readonly known: number;
  readonly refused: number;
  /** Events of the channels that were imported. */
  readonly events: number;
  /** Events that were read, and bytes. */
  readonly readEvents: number;
  readonly readBytes: number;
}

/** A channel whose end has not come yet. */
interface OpenChannel {
  readonly head: HeadLine;
  /** Undefined if its lines are skipped. */
  writer: ChannelImport | undefined;
  events: number;
  /** The sequence of the last line. */
  last: number;
}

/**
 * Imports the channels of an export. Each one appears when it is complete.
 *
 * @throws {CliError} with the number of the first line that is wrong. The channels before it are
 * imported.
 */
export async function importChannels(options: ImportChannelsOptions): Promise<ImportReport> {
  const { store, input, tenant, stop, onProgress, onWaiting, onRefused } = options;
  const report = {
    channels: 0,
    continued: 0,
    known: 0,
    refused: 0,
    events: 0,
    readEvents: 0,
    readBytes: 0,
  };
  let open: OpenChannel | undefined;
  let number = 0;
  let isExport = false;
  try {
    for await (const line of readLines(input, { maxBytes: MAX_LINE_BYTES, stop })) {
      number = line.number;
      if (line.text === undefined) throw new LineError(`The line is ${line.fault}.`);
      const parsed = parseChannelLine(line.text);
      isExport = true;
      open = await take(parsed);
      report.readBytes = line.endBytes;
      onProgress(report);
    }
    if (open !== undefined && !stop.aborted) {
      throw new LineError(`The input ends before the channel ${open.head.channel} does.`);
    }
  } catch (cause) {
    if (!(cause instanceof LineError || cause instanceof Problem)) throw cause;
    await open?.writer?.abandon();
    const what = cause instanceof Problem ? cause.detail : cause.message;
    const isForeign = cause instanceof LineError && !isExport;
    const prefix = isForeign ? "The input is not an export of Weir: " : "";
    throw new CliError(`${prefix}line ${number}: ${what}`, { cause });
  } finally {
    await open?.writer?.[Symbol.asyncDispose]();
  }
  return report;

  async function take(line: ChannelLine): Promise<OpenChannel | undefined> {
    if (line.kind === "head") {
      if (open !== undefined) throw new LineError(`The end of ${open.head.channel} is missing.`);
      return await begin(line);
    }
    if (open === undefined || line.channel !== open.head.channel) {
      throw new LineError(`The first line of the channel ${line.channel} is missing.`);
    }
    if (line.kind === "end") {
      if (line.events !== open.events) throw new LineError("Events before this line are missing.");
      await finish(open);
      return undefined;
    }
    const { head } = open;
    const { sequence } = line.event;
    if (line.epoch !== head.last.epoch || sequence <= open.last || sequence > head.last.sequence) {
      throw new LineError("The offset does not follow those before it.");
    }
    open.events++;
    open.last = sequence;
    report.readEvents++;
    await add(open, line.event);
    return open;
  }

  async function begin(head: HeadLine): Promise<OpenChannel> {
    const { channel, first, last, changed } = head;
    if (first.epoch !== last.epoch || first.sequence < 1 || first.sequence > last.sequence + 1) {
      throw new LineError(`"first" and "last" do not fit together.`);
    }
    const imported = {
      channelKey: channelKeyOf(tenant, channel),
      epoch: last.epoch,
      first: first.sequence,
      last: last.sequence,
      time: changed,
      retention: ownRetention(head, options.retention),
    };
    const skipped = { head, writer: undefined, events: 0, last: first.sequence - 1 };
    try {
      const writer = await ChannelImport.begin({
        ...store,
        now: options.now,
        onWaiting: () => onWaiting(channel),
      }, imported);
      if (writer === undefined) report.known++;
      return { ...skipped, writer };
    } catch (cause) {
      refuse(channel, cause);
      return skipped;
    }
  }

  async function add(open: OpenChannel, event: LogEvent): Promise<void> {
    try {
      await open.writer?.add(event);
    } catch (cause) {
      refuse(open.head.channel, cause);
      await open.writer?.[Symbol.asyncDispose]();
      open.writer = undefined;
    }
  }

  async function finish({ head, writer, events }: OpenChannel): Promise<void> {
    if (writer === undefined) return;
    try {
      await writer.finish();
      report.channels++;
      if (writer.isContinued) report.continued++;
      report.events += events;
    } catch (cause) {
      refuse(head.channel, cause);
    } finally {
      await writer[Symbol.asyncDispose]();
    }
  }

  function refuse(channel: Channel, cause: unknown): void {
    if (!(cause instanceof ImportRefusedError)) throw cause;
    report.refused++;
    onRefused(channel, cause.message);
  }
}

/** Returns the settings that differ from what the channel would have here without any. */
function ownRetention({ channel, retention }: HeadLine, defaults: Retention): Partial<Retention> {
  const here = retentionOf(channel, {}, defaults);
  const age = retention.age * 1_000;
  return {
    ...age !== here.age && { age },
    ...retention.events !== here.events && { events: retention.events },
    ...retention.bytes !== here.bytes && { bytes: retention.bytes },
  };
}
