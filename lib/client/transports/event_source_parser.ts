/** Characters of one line, or of one event's data. Guards against streams of endless lines. */
const MAX_CHARS = 16 * 1024 ** 2;

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** Parses a stream of the WHATWG HTML standard ("Server-sent events") that arrives in pieces. */
export class EventSourceParser {
  /** The last `retry:`, in milliseconds. */
  retryMs: number | undefined;
  readonly #decoder = new TextDecoder(); // removes the byte order mark
  #rest = "";
  /** Whether the last character was a CR, which an LF may complete. */
  #isAfterCr = false;
  #type = "";
  #data: string[] = [];
  #chars = 0;

  /**
   * Returns the events that end in `bytes`. It ignores ids: Weir's events have their offsets in the
   * data.
   *
   * @throws {RangeError} if a line or an event is too long.
   */
  push(bytes: Uint8Array): readonly StreamEvent[] {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return [];
    if (this.#isAfterCr) text = text.replace(/^\n/, "");
    this.#isAfterCr = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_CHARS) throw new RangeError("A line is too long.");
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): StreamEvent | undefined {
    if (line === "") return this.#dispatch();
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "data") {
      this.#data.push(value);
      this.#chars += value.length;
      if (this.#chars > MAX_CHARS) throw new RangeError("An event is too long.");
    } else if (field === "event") this.#type = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(): StreamEvent | undefined {
    const event = this.#data.length === 0
      ? undefined
      : { type: this.#type || "message", data: this.#data.join("\n") };
    this.#type = "";
    this.#data = [];
    this.#chars = 0;
    return event;
  }
}
