// `deno run -A tests/deploy/measure_rolling.ts nginx|haproxy [clients]`: replaces two servers behind
// a proxy, and prints how long events and publishes took meanwhile. With ROLLING_FROM, the path of
// another version's main.ts, that version is replaced by this one.
import { type ProxyName } from "../support/proxies.ts";
import { CLIENTS, rollingRestart } from "./rolling.ts";

const [proxy = "haproxy", count = "2000"] = Deno.args;
const share = Number(count) / 2_000;
const clients = Object.fromEntries(
  Object.entries(CLIENTS).map(([transport, count]) => [transport, count * share]),
);
const from = Deno.env.get("ROLLING_FROM");
const { latencies, publishes, moves, ...figures } = await rollingRestart({
  proxy: proxy as ProxyName,
  clients,
  ...from !== undefined && { from },
});
print(JSON.stringify(figures));
for (const [name, values] of Object.entries(latencies)) print(`${name}: ${quantiles(values)}`);
print(`publish: ${quantiles(publishes)}`);
for (const { seconds, samples } of moves) {
  print(`stopped in ${seconds.toFixed(1)} s; streams and sockets at the other server:`);
  print(samples.map(({ at, connections }) => `${at.toFixed(1)} s: ${connections}`).join(", "));
}

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]?.toFixed(1);
  return `${values.length} of p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
