import { SendStream } from "../../lib/quic/send_stream.ts";
import type { SessionHandler, WebTransportSession } from "../../lib/quic/session.ts";

/** The client's side of a stream of the server. */
export class FakeStream {
  text = "";
  isEnded = false;
  readonly sendStream: SendStream;
  #isStuck = false;
  #unstick = Promise.withResolvers<void>();

  constructor() {
    this.sendStream = new SendStream(
      new WritableStream({
        write: async (chunk) => {
          if (this.#isStuck) await this.#unstick.promise;
          this.text += new TextDecoder().decode(chunk);
        },
        close: () => this.#end(),
        abort: () => this.#end(),
      }),
    );
  }

  /** From now on QUIC takes nothing. */
  stick(): void {
    this.#isStuck = true;
  }

  /** QUIC takes everything again. */
  unstick(): void {
    this.#isStuck = false;
    this.#unstick.resolve();
    this.#unstick = Promise.withResolvers();
  }

  get bytes(): number {
    return new TextEncoder().encode(this.text).length;
  }

  /** The messages that have arrived in whole. */
  get messages(): readonly Readonly<Record<string, unknown>>[] {
    return this.text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  #end(): void {
    this.isEnded = true;
  }
}

/** A session of WebTransport whose client is the test. */
export class FakeSession implements WebTransportSession {
  readonly remoteAddr: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 1 };
  maxDatagramBytes = 1_200;
  readonly control = new FakeStream();
  /** In the order in which the server has opened them. */
  readonly streams: FakeStream[] = [];
  readonly datagrams: string[] = [];
  /** What the server has closed the session with. */
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  #handler: SessionHandler | undefined;
  #controller!: ReadableByteStreamController; // set by start()

  readonly accept = (handler: SessionHandler): this => {
    this.#handler = handler;
    return this;
  };

  /** The client opens the control stream. */
  openControl(): void {
    this.#handler?.bidirectional({
      readable: new ReadableStream({
        type: "bytes",
        start: (controller) => {
          this.#controller = controller;
        },
      }) as ReadableStream<Uint8Array<ArrayBuffer>>,
      writable: this.control.sendStream,
    });
  }

  /** The client sends bytes on the control stream. */
  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#controller.enqueue(bytes);
  }

  /** The client sends messages on the control stream. */
  send(...messages: readonly Readonly<Record<string, unknown>>[]): void {
    const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
    this.sendBytes(new TextEncoder().encode(lines));
  }

  /** The client ends the control stream. */
  endControl(): void {
    this.#controller.close();
    this.#controller.byobRequest?.respond(0);
  }

  /** The client does something else. */
  get handler(): SessionHandler {
    if (this.#handler === undefined) throw new Error("the session is not accepted");
    return this.#handler;
  }

  openUnidirectional(): Promise<SendStream> {
    const stream = new FakeStream();
    this.streams.push(stream);
    return Promise.resolve(stream.sendStream);
  }

  sendDatagram(payload: Uint8Array): void {
    this.datagrams.push(new TextDecoder().decode(payload));
  }

  close(code: number, reason: string): Promise<void> {
    this.closedWith ??= { code, reason };
    this.leave();
    return Promise.resolve();
  }

  /** The session ends. */
  leave(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.closed({ code: 0, reason: "", isClean: true });
  }
}
