import assert from "node:assert/strict";
import { CertificateError } from "../../lib/certificate.ts";
import { listen, type Listener, type ListenOptions } from "../../lib/listener.ts";
import { type Certificate, CertificateFolder, makeCertificate } from "../support/certificates.ts";
import { Queue } from "../support/queue.ts";
import { until } from "../support/until.ts";

const HERE = { hostname: "127.0.0.1", port: 0 } as const;
/** Milliseconds between two polls of the files in these tests. */
const SOON = 5;
const PROTOCOLS = ["http/1.1", "h2"] as const;

const RELOADS = 5;

type Protocol = typeof PROTOCOLS[number];

Deno.test("listen() serves HTTP without a certificate", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  await using server = await Served.start({
    onListen: ({ port }, scheme) => resolve(`${scheme}://127.0.0.1:${port}/`),
  });
  assert.equal(await promise, `http://127.0.0.1:${server.port}/`);
  assert.equal(await (await fetch(await promise)).text(), "ok");
});

Deno.test("one port serves HTTP/1.1, HTTP/2 and WebSockets over TLS", async () => {
  const certificate = await makeCertificate();
  await using folder = await CertificateFolder.create(certificate);
  await using server = await Served.start({ tls: folder });
  for (const protocol of PROTOCOLS) assert.equal(await server.get(certificate, protocol), "ok");
  for (const protocol of PROTOCOLS) {
    using connection = await Deno.connectTls({
      hostname: "127.0.0.1",
      port: server.port,
      caCerts: [certificate.cert],
      alpnProtocols: [protocol],
    });
    assert.equal((await connection.handshake()).alpnProtocol, protocol);
  }
  await using socket = new Socket(server, certificate);
  assert.equal(await socket.messages.take(), "hello");
});

Deno.test("a certificate or key that cannot be used is refused with the name of its setting", async () => {
  const [right, other] = [await makeCertificate(), await makeCertificate()];
  const cases: readonly (readonly [RegExp, Certificate])[] = [
    [/^The key in WEIR_TLS_KEY .* WEIR_TLS_CERT/, { cert: right.cert, key: other.key }],
    [/WEIR_TLS_CERT names: it is not a PEM/, { cert: "no certificate", key: right.key }],
    [/WEIR_TLS_CERT names: it is not a PEM/, { cert: "", key: right.key }],
    [/^WEIR_TLS_CERT must/, { cert: right.cert.slice(0, 300), key: right.key }],
    [/^WEIR_TLS_CERT must/, { cert: right.key, key: right.cert }],
    [/WEIR_TLS_KEY names: it is not a PEM/, { cert: right.cert, key: "no key" }],
    [/^WEIR_TLS_KEY must/, { cert: right.cert, key: right.cert }],
    [/^WEIR_TLS_KEY must/, { cert: right.cert, key: right.key.slice(0, 100) }],
  ];
  for (const [sentence, certificate] of cases) {
    await using folder = await CertificateFolder.create(certificate);
    await assert.rejects(Served.start({ tls: folder }), isCertificateError(sentence));
  }
  await using folder = await CertificateFolder.create(right);
  const { certPath, keyPath } = folder;
  const missing = `${certPath}.missing`;
  await assert.rejects(
    Served.start({ tls: { certPath: missing, keyPath } }),
    isCertificateError(/missing", which WEIR_TLS_CERT names: there is no such file/),
  );
  await assert.rejects(
    Served.start({ tls: { certPath, keyPath: missing } }),
    isCertificateError(/missing", which WEIR_TLS_KEY names: there is no such file/),
  );
});

function isCertificateError(sentence: RegExp): (cause: unknown) => boolean {
  return (cause) => {
    assert.ok(cause instanceof CertificateError);
    assert.match(cause.message, sentence);
    return true;
  };
}

Deno.test("a port in use is refused, also with a certificate", async () => {
  await using folder = await CertificateFolder.create(await makeCertificate());
  await using server = await Served.start({ tls: folder });
  for (const tls of [folder, undefined]) {
    await assert.rejects(Served.start({ tls, port: server.port }), Deno.errors.AddrInUse);
  }
});

Deno.test("a new certificate is served without interruption: streams continue, sockets get a goodbye", async () => {
  const [old, next] = [await makeCertificate(), await makeCertificate()];
  await using folder = await CertificateFolder.create(old);
  const sockets: WebSocket[] = [];
  await using server = await Served.start({
    tls: folder,
    onSocket: (socket) => sockets.push(socket),
    async beforeRetire() {
      await Promise.all(
        sockets.splice(0).map((socket) => {
          socket.send("goodbye");
          socket.close(4000);
          return new Promise((resolve) => socket.onclose = resolve);
        }),
      );
    },
  });
  await using http1 = await Stream.open(server, old, "http/1.1");
  await using http2 = await Stream.open(server, old, "h2");
  await using socket = new Socket(server, old);
  assert.equal(await socket.messages.take(), "hello");

  await folder.install(next);
  assert.equal(await server.reloads.take(), "reloaded");
  await server.serves(next);
  await assert.rejects(server.get(old, "http/1.1"));
  await assert.rejects(server.get(old, "h2"));
  assert.equal(await socket.messages.take(), "goodbye");
  assert.equal((await socket.closed).code, 4000);
  server.say("one");
  for (const stream of [http1, http2]) assert.equal(await stream.read(), "one");

  await folder.install(old);
  assert.equal(await server.reloads.take(), "reloaded");
  await server.serves(old);
  server.say("two");
  for (const stream of [http1, http2]) assert.equal(await stream.read(), "two");
});

Deno.test("a certificate without its key keeps the old pair and is reported once", async () => {
  const [old, next] = [await makeCertificate(), await makeCertificate()];
  await using folder = await CertificateFolder.create(old);
  await using server = await Served.start({ tls: folder });

  await Deno.writeTextFile(folder.certPath, next.cert);
  assert.match(await server.reloads.take(), /^The key in WEIR_TLS_KEY /);
  assert.equal(await server.get(old, "h2"), "ok");
  await Deno.remove(folder.keyPath);
  assert.match(await server.reloads.take(), /WEIR_TLS_KEY names: there is no such file/);
  assert.equal(await server.get(old, "h2"), "ok");
  // Had either been reported twice, it would come before this.
  await folder.looks(10);
  await Deno.writeTextFile(folder.keyPath, next.key);
  assert.equal(await server.reloads.take(), "reloaded");
  await server.serves(next);
});

Deno.test("unchanged or restored files cause no reload", async () => {
  const certificate = await makeCertificate();
  await using folder = await CertificateFolder.create(certificate);
  await using server = await Served.start({ tls: folder });
  await using socket = new Socket(server, certificate);
  assert.equal(await socket.messages.take(), "hello");
  await folder.install(certificate);
  await folder.looks(10);
  await Deno.writeTextFile(folder.certPath, "");
  assert.match(await server.reloads.take(), /WEIR_TLS_CERT names: it is not a PEM/);
  await Deno.writeTextFile(folder.certPath, certificate.cert);
  await folder.looks(10);
  await folder.install(await makeCertificate());
  assert.equal(await server.reloads.take(), "reloaded");
  assert.equal((await socket.closed).code, 1001); // it was on the first server until now
});

for (const protocol of PROTOCOLS) {
  Deno.test(`200 new connections during ${RELOADS} reloads are all answered (${protocol})`, async () => {
    const certificates = [await makeCertificate(), await makeCertificate()] as const;
    await using folder = await CertificateFolder.create(certificates[0]);
    await using server = await Served.start({ tls: folder });
    let isReloading = true;
    let cut = 0;
    await Promise.all([reload().finally(() => isReloading = false), connect()]);

    async function reload(): Promise<void> {
      for (let i = 1; i <= RELOADS; i++) {
        await folder.install(certificates[i % 2 === 0 ? 0 : 1]);
        assert.equal(await server.reloads.take(), "reloaded");
      }
    }

    async function connect(): Promise<void> {
      for (let answers = 0; answers < 200 || isReloading; answers++) {
        while (!await isAnswered()) {
          // One connection at a time can be between connecting and its first request: one a reload.
          assert.ok(++cut <= RELOADS, `${cut} connections were cut by ${RELOADS} reloads`);
        }
      }
    }

    async function isAnswered(): Promise<boolean> {
      try {
        return await server.get(certificates, protocol) === "ok";
      } catch (cause) {
        if (cause instanceof TypeError) return false;
        throw cause;
      }
    }
  });
}

Deno.test("a process that runs out of file descriptors accepts again later, and streams continue", async () => {
  const process = new Deno.Command("/bin/sh", {
    args: ["-c", 'ulimit -n 64; exec "$0" run -A "$1"', Deno.execPath(), LISTENING],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const connections: Deno.Conn[] = [];
  try {
    const port = Number((await lines.read()).value);
    const url = `http://127.0.0.1:${port}/`;
    const stream = (await fetch(`${url}stream`)).body?.getReader();
    const failed = lines.read();
    try {
      // More than the process has file descriptors for.
      while (connections.length < 64) {
        connections.push(await Deno.connect({ hostname: "127.0.0.1", port }));
      }
    } catch (cause) {
      const isEnough = cause instanceof Deno.errors.ConnectionRefused ||
        cause instanceof Deno.errors.ConnectionReset;
      if (!isEnough) throw cause;
    }
    assert.match((await failed).value ?? "", /^failed\n/);
    for (const connection of connections.splice(0)) connection.close();
    await until("it accepts again", async () => {
      try {
        return await (await fetch(url)).text() === "ok";
      } catch (cause) {
        if (cause instanceof TypeError) return false;
        throw cause;
      }
    });
    assert.equal((await stream?.read())?.done, false);
    await stream?.cancel();
  } finally {
    for (const connection of connections) connection.close();
    await lines.cancel();
    process.kill("SIGKILL");
    await process.status;
  }
});

const LISTENING = new URL("../support/listening.ts", import.meta.url).pathname;

interface ServedOptions extends Partial<ListenOptions> {
  readonly onSocket?: (socket: WebSocket) => void;
}

/** A listener in this process, and what it reported. */
class Served implements AsyncDisposable {
  /** `reloaded`, or the reason why not. */
  readonly reloads: Queue<string>;
  readonly #listener: Listener;
  readonly #streams: Set<ReadableStreamDefaultController<Uint8Array>>;

  private constructor(
    listener: Listener,
    reloads: Queue<string>,
    streams: Set<ReadableStreamDefaultController<Uint8Array>>,
  ) {
    this.#listener = listener;
    this.reloads = reloads;
    this.#streams = streams;
  }

  static async start({ onSocket, ...options }: ServedOptions): Promise<Served> {
    const reloads = new Queue<string>();
    const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
    const listener = await listen({
      ...HERE,
      pollIntervalMs: SOON,
      handler: (request) => answer(request, streams, onSocket),
      onListen() {},
      onReload: () => reloads.put("reloaded"),
      onReloadFailed: (cause) => reloads.put(cause instanceof Error ? cause.message : "?"),
      ...options,
    });
    return new Served(listener, reloads, streams);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Fetches over a new connection that trusts only these certificates. */
  async get(trusted: Certificate | readonly Certificate[], protocol: Protocol): Promise<string> {
    using client = clientOf([trusted].flat(), protocol);
    return await (await fetch(`https://127.0.0.1:${this.port}/`, by(client))).text();
  }

  /** Resolves once new connections get this certificate. */
  async serves(certificate: Certificate): Promise<void> {
    await until(
      "the certificate is served",
      () =>
        this.get(certificate, "http/1.1").then(() => true, (cause) => {
          if (cause instanceof TypeError) return false;
          throw cause;
        }),
    );
  }

  /** Sends a text on every open stream. */
  say(text: string): void {
    for (const stream of this.#streams) stream.enqueue(new TextEncoder().encode(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.#listener.shutdown();
  }
}

function answer(
  request: Request,
  streams: Set<ReadableStreamDefaultController<Uint8Array>>,
  onSocket?: (socket: WebSocket) => void,
): Response {
  if (request.headers.get("upgrade") === "websocket") {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => socket.send("hello");
    onSocket?.(socket);
    return response;
  }
  if (!request.url.endsWith("/stream")) return new Response("ok");
  const body = new ReadableStream<Uint8Array>({ start: (stream) => void streams.add(stream) });
  return new Response(body);
}

/** A stream that a client reads. */
class Stream implements AsyncDisposable {
  readonly #client: Deno.HttpClient;
  readonly #reader: ReadableStreamDefaultReader<string>;

  private constructor(client: Deno.HttpClient, reader: ReadableStreamDefaultReader<string>) {
    this.#client = client;
    this.#reader = reader;
  }

  static async open(server: Served, trusted: Certificate, protocol: Protocol): Promise<Stream> {
    const client = clientOf([trusted], protocol);
    const { body } = await fetch(`https://127.0.0.1:${server.port}/stream`, by(client));
    assert.ok(body !== null);
    return new Stream(client, body.pipeThrough(new TextDecoderStream()).getReader());
  }

  async read(): Promise<string | undefined> {
    return (await this.#reader.read()).value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
    this.#client.close();
  }
}

/** A WebSocket's client. */
class Socket implements AsyncDisposable {
  readonly messages = new Queue<unknown>();
  readonly closed: Promise<CloseEvent>;
  readonly #client: Deno.HttpClient;
  readonly #socket: WebSocket;

  constructor(server: Served, trusted: Certificate) {
    this.#client = clientOf([trusted], "http/1.1");
    const url = `wss://127.0.0.1:${server.port}/`;
    this.#socket = Reflect.construct(WebSocket, [url, by(this.#client)]);
    this.#socket.onmessage = ({ data }) => this.messages.put(data);
    this.closed = new Promise((resolve) => this.#socket.onclose = resolve);
    void this.closed.then(() => this.messages.end(new Error("the socket has closed")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
    this.#client.close();
  }
}

/** The option is Deno's own, which the types of browsers don't have. */
function by(client: Deno.HttpClient): RequestInit & { readonly client: Deno.HttpClient } {
  return { client };
}

function clientOf(trusted: readonly Certificate[], protocol: Protocol): Deno.HttpClient {
  const http2 = protocol === "h2";
  return Deno.createHttpClient({ caCerts: trusted.map(({ cert }) => cert), http2, http1: !http2 });
}
