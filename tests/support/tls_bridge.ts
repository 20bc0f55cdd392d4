import type { Proxy } from "./proxies.ts";

/**
 * Passes plain TCP on to a proxy over TLS, for helpers that know no certificates. They speak
 * HTTP/1.1.
 */
export class TlsBridge implements AsyncDisposable {
  readonly #proxy: Proxy;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  constructor(proxy: Proxy) {
    this.#proxy = proxy;
    this.#accepting = this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const passing = new Set<Promise<void>>();
    for await (const client of this.#listener) {
      const passed = this.#pass(client).finally(() => passing.delete(passed));
      passing.add(passed);
    }
    await Promise.all(passing);
  }

  async #pass(client: Deno.Conn): Promise<void> {
    this.#connections.add(client);
    try {
      const proxy = await Deno.connectTls({
        hostname: "127.0.0.1",
        port: Number(new URL(this.#proxy.url).port),
        caCerts: [this.#proxy.certificate.cert],
        alpnProtocols: ["http/1.1"],
      });
      this.#connections.add(proxy);
      const both = [
        client.readable.pipeTo(proxy.writable),
        proxy.readable.pipeTo(client.writable),
      ];
      // When one side has closed, everything that it sent has been passed on.
      await Promise.race(both).catch(() => {});
      close(client);
      close(proxy);
      await Promise.allSettled(both);
      this.#connections.delete(proxy);
    } catch {
      close(client); // the proxy does not listen
    }
    this.#connections.delete(client);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
