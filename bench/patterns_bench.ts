/** `deno bench bench/`: a million checks against 100 patterns. The target is at most one second. */
import { PatternSet } from "../lib/auth/pattern.ts";

const patterns = new PatternSet(
  Array.from({ length: 100 }, (_, i) => i % 2 === 0 ? `team/${i}/**/x*y` : `org:${i}:room:*`),
);
const names = Array.from({ length: 10_000 }, (_, i) => `org:${i % 200}:room:${i}`);

Deno.bench("1 M checks against 100 patterns", () => {
  let matched = 0;
  for (let round = 0; round < 100; round++) {
    for (const name of names) if (patterns.matches(name)) matched++;
  }
  if (matched !== 250_000) throw new Error(`${matched} matched`);
});
