import assert from "node:assert/strict";
import { CertificateKeeper, MIN_REMAINING_MS } from "../../lib/certificate_keeper.ts";
import {
  makeSelfSignedCertificate,
  type SelfSignedCertificate,
} from "../../lib/self_signed_certificate.ts";
import { FakeClock } from "../support/clock.ts";
import { until } from "../support/until.ts";

const HOUR_MS = 60 * 60 * 1_000;

/** A data folder, which does not exist yet, and the keepers that use it. */
class Folder implements AsyncDisposable {
  readonly renewed: SelfSignedCertificate[] = [];
  readonly unstored: unknown[] = [];
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
  }

  static async create(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "weir_keeper_" }));
  }

  get path(): string {
    return `${this.#parent}/data`;
  }

  get file(): string {
    return `${this.path}/webtransport.pem`;
  }

  open(now?: () => number): Promise<CertificateKeeper> {
    return CertificateKeeper.open({
      folder: this.path,
      onRenewed: (certificate) => this.renewed.push(certificate),
      onUnstored: (cause) => this.unstored.push(cause),
      ...now !== undefined && { now },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#parent, { recursive: true });
  }
}

Deno.test("a certificate outlives its process, in a file that only its owner can read", async () => {
  await using folder = await Folder.create();
  using first = await folder.open();
  using second = await folder.open();
  assert.deepEqual(second.current, first.current);
  const { mode } = await Deno.stat(folder.file);
  assert.equal((mode ?? 0) & 0o777, 0o600);
  const files = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name);
  assert.deepEqual(files, ["webtransport.pem"]);
});

Deno.test("a certificate is renewed three days before it expires, also while the server runs", async () => {
  await using folder = await Folder.create();
  using clock = new FakeClock({ replaces: ["Date", "intervals"] });
  using keeper = await folder.open();
  const first = keeper.current;
  clock.set(first.expiresAt - MIN_REMAINING_MS - 2 * HOUR_MS);
  clock.advance(HOUR_MS);
  await keeper.check();
  assert.equal(keeper.current, first);

  clock.advance(HOUR_MS + 1);
  await until("the hourly check has renewed it", () => folder.renewed.length === 1);
  assert.deepEqual(keeper.current, folder.renewed[0]);
  assert.notEqual(keeper.current.hash, first.hash);
  assert.ok(keeper.current.expiresAt > clock.now() + 12 * 24 * HOUR_MS);
  using another = await folder.open();
  assert.deepEqual(another.current, keeper.current);
});

Deno.test("checks at once make one certificate", async () => {
  await using folder = await Folder.create();
  using clock = new FakeClock({ replaces: ["Date", "intervals"] });
  using keeper = await folder.open();
  clock.set(keeper.current.expiresAt);
  await Promise.all([keeper.check(), keeper.check(), keeper.check()]);
  assert.equal(folder.renewed.length, 1);
});

Deno.test("a certificate from a clock that was ahead is replaced", async () => {
  await using folder = await Folder.create();
  using early = await folder.open(() => Date.now() + 24 * HOUR_MS);
  using keeper = await folder.open();
  assert.notEqual(keeper.current.hash, early.current.hash);
});

Deno.test("a damaged file is replaced", async () => {
  await using folder = await Folder.create();
  using first = await folder.open();
  const text = await Deno.readTextFile(folder.file);
  const other = await makeSelfSignedCertificate(Date.now());
  const damaged = [
    "",
    "no PEM",
    text.slice(0, 200),
    text.slice(0, -100),
    first.current.cert,
    first.current.key,
    first.current.cert + other.key,
    text.replaceAll("A", "B"),
  ];
  for (const content of damaged) {
    await Deno.writeTextFile(folder.file, content);
    using keeper = await folder.open();
    assert.notEqual(keeper.current.hash, first.current.hash);
    using again = await folder.open();
    assert.deepEqual(again.current, keeper.current);
  }
});

Deno.test("a running server stores its certificate again if the file is lost", async () => {
  await using folder = await Folder.create();
  using keeper = await folder.open();
  await Deno.remove(folder.file);
  await keeper.check();
  using another = await folder.open();
  assert.deepEqual(another.current, keeper.current);
  assert.deepEqual(folder.renewed, []);
});

Deno.test("processes that start at once share one certificate in the end", async () => {
  await using folder = await Folder.create();
  const keepers = await Promise.all(Array.from({ length: 8 }, () => folder.open()));
  await Promise.all(keepers.map((keeper) => keeper.check()));
  assert.equal(new Set(keepers.map(({ current }) => current.hash)).size, 1);
  using fresh = await folder.open();
  assert.deepEqual(fresh.current, keepers[0]?.current);
  for (const keeper of keepers) keeper[Symbol.dispose]();
});

Deno.test("without a place to store it the certificate is kept in memory, which is said once", async () => {
  await using folder = await Folder.create();
  await Deno.writeTextFile(folder.path, "a file in place of the folder");
  using keeper = await folder.open();
  const { current } = keeper;
  await keeper.check();
  assert.deepEqual(keeper.current, current);
  assert.equal(folder.unstored.length, 1);
});
