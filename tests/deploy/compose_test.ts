import assert from "node:assert/strict";
import { parse } from "yaml";
import { parseConfig } from "../../lib/config.ts";
import { readSource } from "../support/source_files.ts";
import { jwksOf, makeSigner } from "../support/tokens.ts";

const FOLDER = new URL("../../deploy/docker/", import.meta.url);
/** Seconds after the drain in which a server closes its store, at most. */
const CLOSE_S = 4.5;

const { services, configs, volumes } = parse(await readSource("deploy/docker/compose.yaml"));

Deno.test("the settings in compose.yaml are settings of Weir, and Docker waits for the drain", async () => {
  const { weir } = services;
  const settings = Object.entries(weir.environment).filter(([name]) => name.startsWith("WEIR_"));
  const env = Object.fromEntries(settings) as Record<string, string>;
  assert.equal(env["WEIR_JWKS"], "${JWKS:?}"); // the shell's
  const config = parseConfig({ ...env, WEIR_JWKS: jwksOf(await makeSigner("EdDSA")) });
  assert.equal(config.isOpen, false);
  assert.equal(config.kv, "http://denokv:4512");
  const [, seconds = ""] = /^(\d+)s$/.exec(weir.stop_grace_period) ?? [];
  assert.ok(Number(seconds) > config.drainMs / 1_000 + CLOSE_S);
});

Deno.test("Prometheus in compose.yaml scrapes Weir's own listener for metrics", () => {
  const { scrape_configs: [{ static_configs: [{ targets }] }], rule_files: files } = parse(
    configs.prometheus.content,
  );
  assert.deepEqual(targets, [`weir:${services.weir.environment.WEIR_METRICS.split(":")[1]}`]);
  assert.ok(services.prometheus.volumes[0].includes(`:${files[0]}:`));
});

Deno.test("the files, services and volumes that compose.yaml names exist", async () => {
  const { build } = services.weir;
  await Deno.stat(new URL(build.dockerfile, new URL(`${build.context}/`, FOLDER)));
  await Deno.stat(new URL(services.prometheus.volumes[0].split(":")[0], FOLDER));
  for (
    const { depends_on: names = [], volumes: mounts = [] } of Object.values<
      { depends_on?: string[]; volumes?: string[] }
    >(services)
  ) {
    for (const name of names) assert.ok(Object.hasOwn(services, name), name);
    for (const [from = ""] of mounts.map((mount) => mount.split(":"))) {
      assert.ok(from.startsWith("../") || Object.hasOwn(volumes, from), from);
    }
  }
});
