import assert from "node:assert/strict";
import type { KeyPair } from "../../lib/certificate.ts";
import { parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import { listenQuic, type QuicListener } from "../../lib/quic_listener.ts";
import { SharedQuicOffer } from "../../lib/quic_offer.ts";
import { makeSelfSignedCertificate } from "../../lib/self_signed_certificate.ts";
import { FakeClock } from "../support/clock.ts";
import { RawWebTransport } from "../support/raw_webtransport.ts";
import { until } from "../support/until.ts";

const HTTP = { hostname: "127.0.0.1", port: 8_000 };
const HOUR_MS = 60 * 60 * 1_000;

/** A listener on a free port, with its offer and its log. It refuses every request with 418. */
class Listening implements AsyncDisposable {
  readonly offer = new SharedQuicOffer(crypto.randomUUID());
  readonly log: string[] = [];
  readonly folder: string;
  #listener: QuicListener | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(
    env: Readonly<Record<string, string | undefined>> = {},
    pair?: KeyPair,
    httpAddr = HTTP,
  ): Promise<Listening> {
    const folder = await Deno.makeTempDir({ prefix: "weir_quic_" });
    const listening = new Listening(folder);
    const write = (level: string) => (message: string) => listening.log.push(`${level} ${message}`);
    const logger: Logger = { info: write("info"), warn: write("warn"), error: write("error") };
    listening.#listener = await listenQuic({
      config: parseConfig(withoutUndefined({ WEIR_QUIC: "0", WEIR_DATA: folder, ...env })),
      httpAddr,
      pair,
      offer: listening.offer,
      logger,
      onRequest: (request) => request.refuse(418),
    });
    return listening;
  }

  get listener(): QuicListener {
    if (this.#listener === undefined) throw new Error(`it does not listen: ${this.log.join()}`);
    return this.#listener;
  }

  get isListening(): boolean {
    return this.#listener !== undefined;
  }

  /** Returns the status that a client gets which trusts `cert` only; undefined if it gets none. */
  async statusWith(cert: string): Promise<number | undefined> {
    const port = this.offer.current?.port ?? 0;
    try {
      using client = await RawWebTransport.open({ port, cert });
      return client.status;
    } catch {
      return undefined; // the certificate is another one
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("with the certificate of HTTP, WebTransport is offered without a hash and follows reloads", async () => {
  const [first, second] = [await makePair(), await makePair()];
  await using listening = await Listening.start({}, first);
  const { port } = listening.offer.current ?? { port: 0 };
  const offer = { hostname: "127.0.0.1", port, httpPort: HTTP.port };
  assert.deepEqual(listening.offer.current, offer);
  assert.deepEqual(listening.log, ["info WebTransport listening"]);
  assert.equal(await listening.statusWith(first.cert), 418);
  listening.listener.useCertificate(second);
  assert.equal(await listening.statusWith(second.cert), 418);
  assert.equal(await listening.statusWith(first.cert), undefined);
  listening.listener.useCertificate({ cert: "damaged", key: second.key });
  assert.match(listening.log.at(-1) ?? "", /^warn WebTransport cannot use the new certificate/);
  assert.equal(await listening.statusWith(second.cert), 418);
  assert.deepEqual(listening.offer.current, offer);
});

Deno.test("a renewed self-signed certificate is offered and used by new connections", async () => {
  using clock = new FakeClock({ start: Date.now(), replaces: ["intervals"] });
  await using listening = await Listening.start();
  const file = `${listening.folder}/webtransport.pem`;
  const before = listening.offer.current?.certificateHash;
  assert.equal(await listening.statusWith(await certificateIn(file)), 418);
  const next = await makeSelfSignedCertificate(Date.now());
  await Deno.writeTextFile(file, next.cert + next.key); // as another process does
  clock.advance(HOUR_MS);
  await until("the new one is offered", () => listening.offer.current?.certificateHash !== before);
  assert.equal(listening.offer.current?.certificateHash, next.hash);
  assert.equal(await listening.statusWith(next.cert), 418);
  assert.deepEqual(listening.log.slice(1), ["info the certificate for WebTransport was renewed"]);
});

Deno.test("with WEIR_QUIC=off there is no WebTransport, and nothing to say", async () => {
  await using listening = await Listening.start({ WEIR_QUIC: "off" });
  assert.equal(listening.isListening, false);
  assert.equal(listening.offer.current, undefined);
  assert.deepEqual(listening.log, []);
});

Deno.test("a UDP port in use is said in the log, and WebTransport is not offered", async () => {
  await using first = await Listening.start();
  const port = first.offer.current?.port;
  await using second = await Listening.start({ WEIR_QUIC: String(port) });
  assert.equal(second.isListening, false);
  assert.equal(second.offer.current, undefined);
  assert.deepEqual(second.log, [
    "warn there is no WebTransport, because its UDP port is in use: set WEIR_QUIC",
  ]);
});

Deno.test("a free port for HTTP whose number is taken for UDP gets another one for UDP", async () => {
  await using first = await Listening.start();
  const taken = first.offer.current?.port ?? 0;
  const env = { WEIR_PORT: "0", WEIR_QUIC: undefined };
  await using second = await Listening.start(env, undefined, {
    hostname: "127.0.0.1",
    port: taken,
  });
  assert.ok(second.isListening);
  assert.notEqual(second.offer.current?.port, taken);
  assert.equal(second.offer.current?.httpPort, taken);
});

Deno.test("an address that this machine does not have is said in the log", async () => {
  const env = { WEIR_QUIC: "192.0.2.1:8443", WEIR_JWKS: "keys.json" };
  await using listening = await Listening.start(env);
  assert.equal(listening.isListening, false);
  assert.deepEqual(listening.log, ["warn there is no WebTransport: check WEIR_QUIC"]);
});

Deno.test("a runtime without QUIC has no WebTransport, which is said in the log", async () => {
  const { QuicEndpoint } = Deno;
  Object.defineProperty(Deno, "QuicEndpoint", { value: undefined, configurable: true });
  try {
    await using listening = await Listening.start();
    assert.equal(listening.isListening, false);
    assert.equal(listening.offer.current, undefined);
    assert.deepEqual(listening.log, [
      "info there is no WebTransport, because this runtime has no QUIC",
    ]);
  } finally {
    Object.defineProperty(Deno, "QuicEndpoint", { value: QuicEndpoint, configurable: true });
  }
});

Deno.test("after close() WebTransport is not offered", async () => {
  const listening = await Listening.start();
  const { offer } = listening;
  assert.notEqual(offer.current, undefined);
  await listening[Symbol.asyncDispose]();
  assert.equal(offer.current, undefined);
});

function withoutUndefined(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const entries = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  );
  return Object.fromEntries(entries);
}

async function makePair(): Promise<KeyPair> {
  const { cert, key } = await makeSelfSignedCertificate(Date.now());
  return { cert, key };
}

async function certificateIn(file: string): Promise<string> {
  const text = await Deno.readTextFile(file);
  return text.slice(0, text.indexOf("-----BEGIN PRIVATE KEY"));
}
