import assert from "node:assert/strict";
import {
  type ControlEntry,
  ControlJournal,
  type ControlJournalOptions,
} from "../../../lib/auth/control_journal.ts";
import { scopeSchema } from "../../../lib/auth/scope.ts";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import type { Doorbell } from "../../../lib/kv/doorbell.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { KV_LIMITS } from "../../../lib/kv/limits.ts";
import { openStore } from "../../../lib/kv/store.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { problem, upTo } from "../../support/log_reading.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";
import { until } from "../../support/until.ts";
import { FakeClock } from "../../support/clock.ts";
import "../../support/open_broadcast_channel.ts";

/** Long enough that no test sees a second poll. */
const NEVER = 1_000_000;

interface Note {
  readonly type: "note";
  readonly text: string;
}

const note = (text: string): Note => ({ type: "note", text });
const unexpected = (cause: unknown) => {
  throw cause;
};

for (const kind of ["memory", "file", "denokv"] as const) {
  const test = (behaviour: string, body: (isolates: Isolates) => Promise<void>) =>
    Deno.test(`${behaviour} (${kind})`, {
      ignore: kind === "denokv" && DENOKV_MISSING,
    }, async () => {
      await using isolates = await Isolates.open(kind);
      await body(isolates);
    });

  test("an entry reaches every isolate by the doorbell, and its own immediately", async (isolates) => {
    const [here, there] = [
      await isolates.add({ pollMs: NEVER }),
      await isolates.add({ pollMs: NEVER }),
    ];
    for (let i = 1; i <= 20; i++) {
      const key = await here.journal.write(note(`${i}`), undefined);
      assert.deepEqual(here.told.at(-1), { entry: note(`${i}`), key });
      await there.toldCount(i);
      assert.deepEqual(there.told.at(-1), { entry: note(`${i}`), key });
    }
  });

  test("the poll finds an entry without the doorbell", async (isolates) => {
    const [here, there] = [
      await isolates.add({ doorbell: SILENT_DOORBELL }),
      await isolates.add({ doorbell: SILENT_DOORBELL, pollMs: 20 }),
    ];
    await here.journal.write(note("a"), undefined);
    await there.toldCount(1);
    await there.journal.write(note("b"), undefined);
    await here.toldCount(2); // by the poll as it is unless someone says otherwise
    assert.deepEqual(textsOf(here), ["a", "b"]);
    assert.deepEqual(textsOf(there), ["a", "b"]);
  });

  test("each isolate receives every entry once, those of others in order", async (isolates) => {
    const all = [
      await isolates.add({ pollMs: 5 }),
      await isolates.add({ pollMs: 20 }),
      await isolates.add({ pollMs: 5, doorbell: SILENT_DOORBELL }),
    ];
    const texts = upTo(40).flatMap((i) => all.map((_, who) => `${who} ${i}`));
    await Promise.all(all.map(async ({ journal }, who) => {
      for (const text of texts.filter((text) => text.startsWith(`${who} `))) {
        await journal.write(note(text), undefined);
      }
    }));
    await Promise.all(all.map((isolate) => isolate.toldCount(texts.length)));
    // This entry arrives after everything that might be delivered twice.
    await all[0]?.journal.write(note("end"), undefined);
    await Promise.all(all.map((isolate) => isolate.toldCount(texts.length + 1)));
    for (const [who, isolate] of all.entries()) {
      assert.deepEqual(textsOf(isolate).sort(), [...texts, "end"].sort());
      const others = isolate.told.filter(({ entry }) => !entry.text.startsWith(`${who} `));
      const stamps = others.map(({ key }) => String(key[1]));
      assert.deepEqual(stamps, [...stamps].sort());
    }
  });

  test("a journal that opens later receives all existing entries in order", async (isolates) => {
    const first = await isolates.add();
    const [gone, ...rest] = upTo(8).map((i) => `${i}`);
    const key = await first.journal.write(note(gone ?? ""), undefined);
    for (const text of rest) await first.journal.write(note(text), undefined);
    await first.journal.write(note("instead"), undefined, [key]);
    const second = await isolates.add();
    assert.deepEqual(textsOf(second), [...rest, "instead"]);
    assert.equal((await isolates.rows()).length, rest.length + 1);
    assert.deepEqual(await isolates.rows(), second.told.map(({ key }) => key));
  });

  test("an entry expires", async (isolates) => {
    const clock = new FakeClock({ start: Date.now() });
    const { now } = clock;
    const first = await isolates.add({ now });
    await first.journal.write(note("short"), clock.now() + 1_000);
    await first.journal.write(note("long"), clock.now() + 1_001);
    await first.journal.write(note("for good"), undefined);
    clock.advance(1_000);
    assert.deepEqual(textsOf(await isolates.add({ now })), ["long", "for good"]);
  });

  test("a closed journal delivers nothing", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add({ pollMs: 5 })];
    await here.journal.write(note("before"), undefined);
    await there.toldCount(1);
    await there.journal.close();
    await here.journal.write(note("after"), undefined);
    await there.journal.write(note("own"), undefined);
    await here.toldCount(3);
    assert.deepEqual(textsOf(there), ["before"]);
  });
}

Deno.test("reads a journal of many batches completely", async () => {
  await using isolates = await Isolates.open("memory");
  const first = await isolates.add();
  const texts = upTo(2 * KV_LIMITS.list + 1).map((i) => `${i}`);
  for (const text of texts) await first.journal.write(note(text), undefined);
  assert.deepEqual(textsOf(await isolates.add()), texts);
});

Deno.test("a reopened file has all entries", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_control_" });
  for (const known of [[], ["1"], ["1", "2"]]) {
    const { kv, doorbell, close } = await openStore(`${directory}/kv.sqlite`);
    const told: string[] = [];
    const journal = await ControlJournal.open<Note>({
      kv,
      doorbell,
      onEntry: ({ text }) => told.push(text),
      onError: unexpected,
    });
    assert.deepEqual(told, known);
    await journal.write(note(`${known.length + 1}`), undefined);
    await journal.close();
    await close();
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("one journal carries revocations and swaps of credentials", async () => {
  await using isolates = await Isolates.open("memory");
  const entries: ControlEntry[] = [
    {
      type: "revocation",
      revocation: { tenant: DEFAULT_TENANT, kind: "sub", value: "ann", at: 1_700_000_000_000 },
    },
    {
      type: "swap",
      stream: "stream-1",
      grant: {
        tenant: DEFAULT_TENANT,
        kind: "token",
        subject: "bob",
        scope: scopeSchema.parse({}),
      },
    },
  ];
  const told: ControlEntry[] = [];
  const options = { ...isolates.connect(), onError: unexpected };
  const writer = await ControlJournal.open({ ...options, onEntry: () => {} });
  for (const entry of entries) await writer.write(entry, undefined);
  const reader = await ControlJournal.open({ ...options, onEntry: (entry) => told.push(entry) });
  assert.deepEqual(told, entries);
  await writer.close();
  await reader.close();
});

Deno.test("reports an entry whose handler fails, and delivers the following ones", async () => {
  await using isolates = await Isolates.open("memory");
  const errors: unknown[] = [];
  const told: string[] = [];
  const refuseB = ({ text }: Note) => {
    if (text === "b") throw new Error("not b");
    told.push(text);
  };
  const onError = (cause: unknown) => void errors.push(String(cause));
  const options = { ...isolates.connect(), onEntry: refuseB, onError };
  const first = await ControlJournal.open<Note>(options);
  for (const text of ["a", "b", "c"]) await first.write(note(text), undefined);
  const second = await ControlJournal.open<Note>(options);
  assert.deepEqual(told, ["a", "c", "a", "c"]);
  assert.deepEqual(errors, ["Error: not b", "Error: not b"]);
  await first.close();
  await second.close();
});

Deno.test("open() fails if the store cannot be read, and write() if it is closed", async () => {
  const kv = await Deno.openKv(":memory:");
  const options = { kv, doorbell: SILENT_DOORBELL, onEntry: () => {}, onError: () => {} };
  const journal = await ControlJournal.open<Note>(options);
  kv.close();
  await assert.rejects(journal.write(note("a"), undefined), problem("storage_unavailable"));
  await assert.rejects(ControlJournal.open<Note>(options), problem("storage_unavailable"));
  await journal.close();
});

Deno.test("reports a store that fails repeatedly once", async () => {
  const kv = await Deno.openKv(":memory:");
  let looks = 0;
  const errors: unknown[] = [];
  const journal = await ControlJournal.open<Note>({
    kv: withList(kv, (list) => {
      looks++;
      return list();
    }),
    doorbell: SILENT_DOORBELL,
    onEntry: () => {},
    onError: (cause) => void errors.push(cause),
    pollMs: 1,
  });
  kv.close();
  const before = looks;
  await until("the store was read five times", () => looks >= before + 5);
  await journal.close();
  assert.deepEqual(errors.map((each) => each instanceof Problem && each.code), [
    "storage_unavailable",
  ]);
});

Deno.test("rings during a read cause one more read", async () => {
  await using isolates = await Isolates.open("memory");
  let looks = 0;
  let ring = () => {};
  let gate = Promise.resolve();
  const told: string[] = [];
  const journal = await ControlJournal.open<Note>({
    kv: withList(isolates.connect().kv, (list) => {
      looks++;
      const entries = list();
      const next = entries.next.bind(entries);
      entries.next = () => gate.then(next);
      return entries;
    }),
    doorbell: {
      ...SILENT_DOORBELL,
      listen: (_, onRing) => {
        ring = onRing;
        return { [Symbol.dispose]() {} };
      },
    },
    onEntry: ({ text }) => told.push(text),
    onError: unexpected,
    pollMs: NEVER,
  });
  assert.equal(looks, 1);
  const open = Promise.withResolvers<void>();
  gate = open.promise;
  const writer = await isolates.add({ doorbell: SILENT_DOORBELL });
  await writer.journal.write(note("a"), undefined);
  for (let i = 0; i < 10; i++) ring();
  assert.equal(looks, 2);
  open.resolve();
  await until("the entry arrived and no read is running", () => told.length === 1 && looks >= 3);
  await journal.close();
  assert.equal(looks, 3);
});

Deno.test("reports an outage once, and delivers entries written after it", {
  ignore: DENOKV_MISSING,
}, async () => {
  await using denokv = await Denokv.start();
  const errors: unknown[] = [];
  const told: string[] = [];
  const [here, there] = [await openStore(denokv.url), await openStore(denokv.url)];
  const writer = await ControlJournal.open<Note>({ ...here, onEntry: () => {}, onError: () => {} });
  const reader = await ControlJournal.open<Note>({
    ...there,
    onEntry: ({ text }) => void told.push(text),
    onError: (cause) => void errors.push(cause),
    pollMs: 5,
  });
  await denokv.kill();
  await until("the outage is reported", () => errors.length > 0);
  await denokv.start();
  await writer.write(note("after"), undefined);
  await until("the entry has arrived", () => told.length > 0);
  assert.deepEqual(told, ["after"]);
  assert.deepEqual(errors.map((each) => each instanceof Problem && each.code), [
    "storage_unavailable",
  ]);
  await writer.close();
  await reader.close();
  await here.close();
  await there.close();
});

/** The journal of one isolate, and the entries that it received. */
class Isolate {
  readonly told: { readonly entry: Note; readonly key: Deno.KvKey }[] = [];
  #journal: ControlJournal<Note> | undefined;

  static async open(options: Omit<ControlJournalOptions<Note>, "onEntry" | "onError">) {
    const isolate = new Isolate();
    isolate.#journal = await ControlJournal.open<Note>({
      ...options,
      onEntry: (entry, key) => isolate.told.push({ entry, key }),
      onError: unexpected,
    });
    return isolate;
  }

  get journal(): ControlJournal<Note> {
    return this.#journal ?? assert.fail("it is open");
  }

  /** Resolves when it has received `count` entries. */
  toldCount(count: number): Promise<void> {
    return until(`it has received ${count} entries`, () => this.told.length >= count);
  }
}

interface Connection {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
}

/** Isolates on one store, each with its own handle unless the store is in memory. */
class Isolates implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  readonly #kv: Deno.Kv;
  readonly #open: () => Promise<Connection>;

  private constructor(kv: Deno.Kv, open: () => Promise<Connection>) {
    this.#kv = kv;
    this.#open = open;
  }

  static async open(kind: "memory" | "file" | "denokv"): Promise<Isolates> {
    const stack = new AsyncDisposableStack();
    const open = await connector(kind, stack);
    const isolates = new Isolates((await open()).kv, open);
    isolates.#resources.use(stack);
    return isolates;
  }

  async add(
    options: Partial<ControlJournalOptions<Note>> = {},
  ): Promise<Isolate> {
    const isolate = await Isolate.open({ ...await this.#open(), ...options });
    this.#resources.defer(() => isolate.journal.close());
    return isolate;
  }

  /** The store, with a doorbell that never rings elsewhere. */
  connect(): Connection {
    return { kv: this.#kv, doorbell: SILENT_DOORBELL };
  }

  async rows(): Promise<readonly Deno.KvKey[]> {
    const rows = await Array.fromAsync(this.#kv.list({ prefix: keys.control() }));
    return rows.map(({ key }) => key);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

/** Opens handles of one store of this kind. */
async function connector(
  kind: "memory" | "file" | "denokv",
  stack: AsyncDisposableStack,
): Promise<() => Promise<Connection>> {
  if (kind === "memory") {
    const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
    const name = crypto.randomUUID();
    return () => {
      const doorbell = stack.adopt(new BroadcastDoorbell(name), (bell) => bell.close());
      return Promise.resolve({ kv, doorbell });
    };
  }
  let target: string;
  if (kind === "denokv") {
    target = stack.use(await Denokv.start()).url;
  } else {
    const directory = await Deno.makeTempDir({ prefix: "weir_control_" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    target = `${directory}/kv.sqlite`;
  }
  return async () => stack.adopt(await openStore(target), (store) => store.close());
}

/** Returns the store with a wrapper around each `list`. */
function withList(
  kv: Deno.Kv,
  through: (list: () => Deno.KvListIterator<unknown>) => Deno.KvListIterator<unknown>,
): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (name === "list") {
        return (...args: Parameters<Deno.Kv["list"]>) => through(() => target.list(...args));
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function textsOf({ told }: Isolate): string[] {
  return told.map(({ entry }) => entry.text);
}
