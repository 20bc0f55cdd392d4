import { serverMessages, type ServerOp } from "../../routes/api_description/messages.ts";
import { Queue } from "./queue.ts";

export interface SocketMessage {
  readonly op: string;
  readonly [member: string]: unknown;
}

/**
 * A client of `weir.v1` with the runtime's WebSocket. When it is disposed of, it throws if the server
 * has sent something that the description of messages lacks.
 */
export class SocketClient implements AsyncDisposable {
  readonly messages = new Queue<SocketMessage>();
  readonly closed: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  readonly #undescribed: string[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    socket.addEventListener("message", ({ data }) => {
      for (const line of String(data).split("\n")) {
        const message: SocketMessage = JSON.parse(line);
        this.#check(message);
        this.messages.put(message);
      }
    });
    void this.closed.then(() => this.messages.end(new Error("the socket has closed")));
  }

  /**
   * Resolves after the welcome, or after a token has been accepted.
   *
   * @param query of the URL, such as `?ticket=…`.
   */
  static async open(
    url: string,
    { token, query = "" }: { readonly token?: string; readonly query?: string } = {},
  ): Promise<SocketClient> {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/socket${query}`, "weir.v1");
    const client = new SocketClient(socket);
    await client.until("welcome");
    if (token === undefined) return client;
    client.send({ op: "auth", token });
    await client.until("authenticated");
    return client;
  }

  send(...messages: readonly SocketMessage[]): void {
    this.sendText(messages.map((message) => JSON.stringify(message)).join("\n"));
  }

  sendText(frame: string): void {
    this.#socket.send(frame);
  }

  sendBytes(frame: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(frame);
  }

  next(): Promise<SocketMessage> {
    return this.messages.take();
  }

  /** Returns the next message with `op` and drops those before it. @throws {Error} at an error. */
  async until(op: string): Promise<SocketMessage> {
    while (true) {
      const message = await this.next();
      if (message.op === op) return message;
      if (message.op === "error") throw new Error(JSON.stringify(message));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
    if (this.#undescribed.length > 0) throw new Error(this.#undescribed.join("\n"));
  }

  #check(message: SocketMessage): void {
    const { error } = serverMessages[message.op as ServerOp].safeParse(message);
    if (error !== undefined) this.#undescribed.push(`${error.message} in a ${message.op}`);
  }
}
