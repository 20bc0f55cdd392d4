/**
 * Tries what no part of Weir does, and prints each outcome: runs in the process of a server, before
 * its own modules, with its permissions.
 */
const [outside = "", inside = ""] = (Deno.env.get("WEIR_INTERNAL_FILES") ?? "").split("|");

const TRIES: Readonly<Record<string, () => unknown>> = {
  "write outside": () => Deno.writeTextFile(outside, "x"),
  "write inside": () => Deno.writeTextFile(inside, "x"),
  "write the code": () => Deno.writeTextFile(new URL("../../main.ts", import.meta.url), "x"),
  "read outside": () => Deno.readTextFile("/etc/passwd"),
  "read the code": () => Deno.readTextFile(new URL("../../main.ts", import.meta.url)),
  "connect elsewhere": () => Deno.connect({ hostname: "127.0.0.2", port: 1 }),
  "listen elsewhere": () => Deno.listen({ hostname: "127.0.0.2", port: 0 }),
  // Deno allows it by default.
  "import from deno.land": () => import(`${"https"}://deno.land/std@0.224.0/version.ts`),
  "run a program": () => new Deno.Command("true").output(),
  "load a library": () => Deno.dlopen("libc.so.6", {}),
  "ask for the machine": () => Deno.hostname(),
};

const outcomes: Record<string, string> = {};
for (const [name, attempt] of Object.entries(TRIES)) {
  outcomes[name] = await outcomeOf(attempt);
}
outcomes["read HOME"] = String(Deno.env.get("HOME"));
outcomes["variables"] = Object.keys(Deno.env.toObject())
  .filter((name) => !name.startsWith("WEIR_")).join();
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(outcomes)}\n`));

async function outcomeOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
    return "done";
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) return "refused";
    return cause instanceof Error ? cause.message : "unknown";
  }
}
