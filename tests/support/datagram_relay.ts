/** Passes UDP datagrams of one client on to a server, and back, or loses them. */
export class DatagramRelay implements Disposable {
  readonly #client = listen();
  readonly #upstream = listen();
  readonly #server: Deno.NetAddr;
  #clientAddr: Deno.NetAddr | undefined;
  /** Whether datagrams to the server, or to the client, are lost. */
  readonly loses = { toServer: false, toClient: false };

  constructor(server: Deno.NetAddr) {
    this.#server = server;
    this.#run();
  }

  get port(): number {
    return (this.#client.addr as Deno.NetAddr).port;
  }

  async #run(): Promise<void> {
    const forward = async () => {
      for await (const [bytes, from] of this.#client) {
        this.#clientAddr = from as Deno.NetAddr;
        if (!this.loses.toServer) await this.#upstream.send(bytes, this.#server);
      }
    };
    const back = async () => {
      for await (const [bytes] of this.#upstream) {
        if (!this.loses.toClient && this.#clientAddr) {
          await this.#client.send(bytes, this.#clientAddr);
        }
      }
    };
    await Promise.allSettled([forward(), back()]); // until the sockets are closed
  }

  [Symbol.dispose](): void {
    this.#client.close();
    this.#upstream.close();
  }
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}
