import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { isMissing } from "../support/programs.ts";
import { readSource } from "../support/source_files.ts";

const UNIT = "deploy/systemd/weir.service";
/** `systemd-analyze` counts in tenths, from 0 to 100. */
const MAX_EXPOSURE = 25;
/** Seconds after the drain in which a server closes its store, at most. */
const CLOSE_S = 4.5;

const ignore = isMissing(
  ["systemd-analyze", "--version"],
  "systemd is missing: it checks its unit",
);

interface Ran {
  readonly code: number;
  readonly stderr: string;
}

async function analyze(args: readonly string[]): Promise<Ran> {
  const { code, stderr } = await new Deno.Command("systemd-analyze", { args: [...args] }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** Writes the unit into a folder, with a command that exists, and other changes. */
async function withUnit(change: (text: string) => string, run: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "weir_systemd_" });
  const text = (await readSource(UNIT)).replace(/^ExecStart=\S+/m, `ExecStart=${Deno.execPath()}`);
  await Deno.writeTextFile(`${folder}/weir.service`, change(text));
  await run(`${folder}/weir.service`).finally(() => Deno.remove(folder, { recursive: true }));
}

Deno.test("systemd knows every line of its unit", { ignore }, async () => {
  await withUnit((text) => text, async (path) => {
    assert.deepEqual(await analyze(["verify", path]), { code: 0, stderr: "" });
  });
  await withUnit((text) => text.replace("ProtectClock=", "ProtectClocks="), async (path) => {
    assert.match((await analyze(["verify", path])).stderr, /Unknown key.*ProtectClocks/);
  });
});

Deno.test("the service of systemd is exposed to at most 2.5", { ignore }, async () => {
  const security = ["security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, "--no-pager"];
  await withUnit((text) => text, async (path) => {
    assert.equal((await analyze([...security, path])).code, 0);
  });
  const weak = (text: string) =>
    text.replaceAll(/^(?:DynamicUser|System|Protect|Private).*\n/gm, "");
  await withUnit(weak, async (path) => {
    assert.notEqual((await analyze([...security, path])).code, 0);
  });
});

Deno.test("systemd waits for longer than the default drain", async () => {
  const [, seconds = ""] = /^TimeoutStopSec=(\d+)$/m.exec(await readSource(UNIT)) ?? [];
  assert.ok(Number(seconds) > parseConfig({}).drainMs / 1_000 + CLOSE_S, seconds);
});
