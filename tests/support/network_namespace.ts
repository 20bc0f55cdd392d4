import { PROGRAM } from "./chromium.ts";

/**
 * Runs a command to its end.
 *
 * @param command words without spaces in them.
 * @throws {Error} if it fails
 */
export async function runCommand(command: string): Promise<void> {
  const [program = "", ...args] = command.split(" ");
  const { success, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
}

/** Writes a program that starts Chromium in a network namespace, and returns its path. */
export async function chromiumIn(namespace: string, folder: string): Promise<string> {
  const program = `${folder}/chromium`;
  const script = `#!/bin/sh\nexec ip netns exec ${namespace} ${PROGRAM} "$@"\n`;
  await Deno.writeTextFile(program, script, { mode: 0o755 });
  return program;
}
