import { isMissing } from "./programs.ts";

/** Whether Prometheus and its promtool are missing. */
export const PROMETHEUS_MISSING = isMissing(
  ["sh", "-c", "command -v prometheus && command -v promtool"],
  "Prometheus is not installed: run `apt-get install prometheus`",
);

/** Runs `promtool`. */
export async function promtool(
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number; readonly output: string }> {
  const process = new Deno.Command("promtool", {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, output: `${out}${err}` };
}
