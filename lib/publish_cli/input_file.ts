import { CliError } from "../keys_cli/cli_error.ts";
import { failureReason } from "../keys_cli/failure_reason.ts";

/**
 * Opens a file, or standard input if it is undefined. The size is known for regular files.
 *
 * @throws {CliError}
 */
export async function openInput(file: string | undefined): Promise<{
  readonly input: ReadableStream<Uint8Array>;
  readonly totalBytes: number | undefined;
}> {
  if (file === undefined) return { input: Deno.stdin.readable, totalBytes: undefined };
  try {
    const opened = await Deno.open(file);
    const { size, isFile, isDirectory } = await opened.stat();
    if (isDirectory) throw new Error("It is a folder");
    return { input: opened.readable, totalBytes: isFile ? size : undefined };
  } catch (cause) {
    throw new CliError(`Cannot read ${file}: ${failureReason(cause)}.`, { cause });
  }
}
