import { CliError } from "../keys_cli/cli_error.ts";
import { pause } from "../shared/async/delay.ts";
import { formatOffset, isOffset, positionOf, sequenceOf } from "../shared/offset.ts";
import { ExportFile, type ExportState } from "./export_file.ts";
import { type ChannelFigures, ReadApi } from "./read_api.ts";

/** Before a stream that has ended is opened again. */
const RECONNECT_MS = 200;

interface ExportChannelsOptions {
  readonly url: URL;
  readonly token: string | undefined;
  /** @default all that the credential may read, without those of the server */
  readonly channels: readonly string[] | undefined;
  /** @default stdout */
  readonly file: string | undefined;
  /** Ends the export, which can be continued. */
  readonly stop: AbortSignal;
  readonly onProgress: (report: ExportReport) => void;
}

/** How far an export is. */
interface ExportReport {
  readonly channels: number;
  readonly events: number;
  /** Of all channels, as they were listed. */
  readonly totalEvents: number;
}

/**
 * Exports channels of a running server, each up to the end that it has when its turn comes.
 * Continues an export to the same file that was interrupted. Resolves early if it is stopped.
 *
 * @throws {CliError}
 */
export async function exportChannels(options: ExportChannelsOptions): Promise<ExportReport> {
  const { url, token, file: path, stop, onProgress } = options;
  const api = new ReadApi({ url, token });
  const { file: opened, state } = await ExportFile.open(path);
  await using file = opened;
  const report = { channels: 0, events: state?.events ?? 0, totalEvents: 0 };
  for await (const { events } of listed(api, options.channels, state)) report.totalEvents += events;
  if (state !== undefined && !state.isComplete) {
    report.totalEvents += state.events + sequenceOf(state.last) - sequenceOf(state.after);
    await copyEvents(await api.channel(state.channel), state);
  }
  for await (const channel of listed(api, options.channels, state)) {
    if (stop.aborted) break;
    const { last, changed, retention } = channel;
    const first = channel.first ?? offsetAt(last, sequenceOf(last) + 1);
    const head = { channel: channel.channel, first, last, changed, retention };
    await file.write(JSON.stringify(head));
    const after = offsetAt(first, sequenceOf(first) - 1);
    await copyEvents(channel, { after, last, events: 0 });
  }
  if (stop.aborted) await file.flush();
  else await file.finish();
  return report;

  async function copyEvents(
    { channel }: Pick<ChannelFigures, "channel">,
    from: Pick<ExportState, "after" | "last" | "events">,
  ): Promise<void> {
    const { last } = from;
    let { after, events } = from;
    while (after < last && !stop.aborted) {
      // A stream ends with a goodbye, or breaks: another one continues.
      try {
        for await (const { type, data } of api.events(channel, after)) {
          if (type === "weir.gap") after = offsetBefore(gapEnd(channel, last, data));
          else if (!type.startsWith("weir.")) {
            const { offset } = JSON.parse(data) as { readonly offset: string };
            after = offset;
            if (after > last) break;
            await file.write(data);
            events++;
            report.events++;
            onProgress(report);
          }
          if (after >= last || stop.aborted) break;
        }
      } catch (cause) {
        if (cause instanceof CliError || !(cause instanceof Error)) throw cause;
        if (!isConnectionLoss(cause)) throw cause;
      }
      if (after < last && !stop.aborted) await pause(RECONNECT_MS);
    }
    if (stop.aborted) return;
    await file.write(JSON.stringify({ channel, end: true, events }));
    report.channels++;
  }
}

/** Lists the channels to export from where an interrupted export is. */
async function* listed(
  api: ReadApi,
  names: readonly string[] | undefined,
  state: ExportState | undefined,
): AsyncGenerator<ChannelFigures, void, void> {
  if (names === undefined) {
    for await (const found of api.channels(state?.channel ?? "")) {
      if (!found.channel.startsWith("$")) yield found;
    }
    return;
  }
  const from = state === undefined ? -1 : names.indexOf(state.channel);
  if (state !== undefined && from === -1) {
    throw new CliError("The interrupted export is of other channels. Remove its file.");
  }
  for (const name of names.slice(from + 1)) yield await api.channel(name);
}

/** Returns the offset at which reading continues. @throws {CliError} if that is another log. */
function gapEnd(channel: string, last: string, data: string): string {
  const { reason, firstAvailable } = JSON.parse(data) as {
    readonly reason: string;
    readonly firstAvailable: string;
  };
  if (isOffset(firstAvailable) && positionOf(firstAvailable).epoch === positionOf(last).epoch) {
    return firstAvailable;
  }
  throw new CliError(
    `The channel ${channel} was deleted or restored during the export (${reason}). Remove the file that ends with .part, and start again.`,
  );
}

function offsetBefore(offset: string): string {
  return offsetAt(offset, sequenceOf(offset) - 1);
}

function offsetAt(offset: string, sequence: number): string {
  return formatOffset(positionOf(offset).epoch, sequence);
}

function isConnectionLoss(cause: Error): boolean {
  return cause.name === "TypeError" || cause.name === "AbortError" || cause.name === "Http";
}
