import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { MessageEncoding } from "./encoding.ts";
import type { ServerMessage } from "./message.ts";

/** Where the messages to one client go. */
export interface MessageOutput {
  /** Sends an answer after those before it. Does nothing once the connection has ended. */
  send(message: ServerMessage): void;
  /** Opens the output for the events of one `subscribe`. */
  openEventOutput(): EventOutput;
  /**
   * Takes note of what the client has taken from event streams, in bytes by their number, and
   * returns how many bytes more that is than before. Undefined where events come on no streams.
   *
   * @throws {import("../../shared/problem.ts").Problem} `bad_message`
   */
  received?(streams: Readonly<Record<string, number>>): number;
}

/** Where everything about the subscriptions of one `subscribe` goes, in the order of the calls. */
export interface EventOutput {
  /** Sends a message before the events that follow. */
  send(message: ServerMessage): void;
  /**
   * Returns what takes the events of one subscription.
   *
   * @param close ends the connection
   */
  sink(encoding: MessageEncoding, close: (reason: CloseReason) => void): Sink;
  /** Called once, when the subscriptions have ended. Nothing is written afterwards. */
  end(): void;
}
