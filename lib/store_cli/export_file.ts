import { CliError } from "../keys_cli/cli_error.ts";
import { followLink } from "../kv/follow_link.ts";
import { readLines } from "../publish_cli/input_lines.ts";
import { formatOffset, offsetOf } from "../shared/offset.ts";
import { type ChannelLine, LineError, MAX_LINE_BYTES, parseChannelLine } from "./channel_lines.ts";

/** Bytes that are written to the disk at once. */
const BUFFER_BYTES = 256 * 1024;

/** Where an export that was interrupted is. */
export interface ExportState {
  readonly channel: string;
  /** The offset of the last event that is written, and of the channel's end. */
  readonly after: string;
  readonly last: string;
  /** Events of the channel that are written. */
  readonly events: number;
  /** Whether all of the channel is. */
  readonly isComplete: boolean;
}

/** The lines of an export, in a file that gets its name when it is complete; or on stdout. */
export class ExportFile implements AsyncDisposable {
  readonly #path: string | undefined;
  readonly #file: Deno.FsFile | typeof Deno.stdout;
  readonly #lines: Uint8Array[] = [];
  #waitingBytes = 0;

  private constructor(path: string | undefined, file: Deno.FsFile | typeof Deno.stdout) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Opens the file, and finds out how far an interrupted export to it is. A symbolic link stays, and
   * its target is the export.
   *
   * @param path undefined for stdout.
   * @throws {CliError}
   */
  static async open(
    path: string | undefined,
  ): Promise<{ readonly file: ExportFile; readonly state: ExportState | undefined }> {
    if (path === undefined) {
      return { file: new ExportFile(undefined, Deno.stdout), state: undefined };
    }
    try {
      const target = await followLink(path);
      const draft = draftOf(target);
      const file = await Deno.open(draft, { create: true, read: true, write: true, mode: 0o600 });
      if (!await file.tryLock(true)) {
        file.close();
        throw new CliError(`Another export to ${path} is under way.`);
      }
      const { state, bytes } = await readState(draft);
      await file.truncate(bytes);
      await file.seek(0, Deno.SeekMode.End);
      return { file: new ExportFile(target, file), state };
    } catch (cause) {
      if (cause instanceof CliError) throw cause;
      const why = cause instanceof Error ? cause.message : "unknown";
      throw new CliError(`Cannot write ${path}: ${why}.`, { cause });
    }
  }

  async write(line: string): Promise<void> {
    const bytes = new TextEncoder().encode(`${line}\n`);
    this.#lines.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= BUFFER_BYTES) await this.flush();
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    const writer = this.#file;
    const lines = this.#lines.splice(0);
    this.#waitingBytes = 0;
    const all = new Uint8Array(await new Blob(lines as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    for (let at = 0; at < all.length;) at += await writer.write(all.subarray(at));
  }

  /** Gives the complete file its name. */
  async finish(): Promise<void> {
    await this.flush();
    if (this.#path === undefined) return;
    await (this.#file as Deno.FsFile).sync();
    await Deno.rename(draftOf(this.#path), this.#path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#path !== undefined) (this.#file as Deno.FsFile).close();
    return Promise.resolve();
  }
}

function draftOf(path: string): string {
  return `${path}.part`;
}

/** Returns the state, and the bytes of the complete lines. @throws {CliError} */
async function readState(
  path: string,
): Promise<{ readonly state: ExportState | undefined; readonly bytes: number }> {
  let state: ExportState | undefined;
  let bytes = 0;
  const { size } = await Deno.stat(path);
  const input = (await Deno.open(path)).readable;
  const stop = new AbortController().signal;
  for await (const line of readLines(input, { maxBytes: MAX_LINE_BYTES, stop })) {
    // Without a line feed at its end it is not complete.
    if (line.endBytes === size && !await endsWithLineFeed(path, size)) break;
    state = next(state, parse(path, line.text));
    bytes = line.endBytes;
  }
  return { state, bytes };
}

function next(state: ExportState | undefined, line: ChannelLine): ExportState | undefined {
  if (line.kind === "head") {
    const { channel, first, last } = line;
    const after = formatOffset(last.epoch, first.sequence - 1);
    return { channel, after, last: offsetOf(last), events: 0, isComplete: false };
  }
  if (state === undefined) return undefined;
  if (line.kind === "end") return { ...state, isComplete: true };
  const after = formatOffset(line.epoch, line.event.sequence);
  return { ...state, after, events: state.events + 1 };
}

/** @throws {CliError} */
function parse(path: string, text: string | undefined): ChannelLine {
  try {
    if (text !== undefined) return parseChannelLine(text);
  } catch (cause) {
    if (!(cause instanceof LineError)) throw cause;
  }
  throw new CliError(`${path} is no part of an export. Remove it.`);
}

async function endsWithLineFeed(path: string, size: number): Promise<boolean> {
  using file = await Deno.open(path);
  await file.seek(size - 1, Deno.SeekMode.Start);
  const byte = new Uint8Array(1);
  await file.read(byte);
  return byte[0] === 0x0a;
}
