/** Characters of one line, or of the data of one event. Met: a stream without an end to its lines. */
const MAX_CHARS = 16 * 1024 ** 2;

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** A stream as the WHATWG HTML standard has it ("Server-sent events"), in whatever pieces it comes. */
export class EventSourceParser {
  /** Milliseconds, as `retry:` said last. */
  retry: number | undefined;
  readonly #decoder = new TextDecoder(); // it drops the byte order mark
  #rest = "";
  #type = "";
  #data: string[] = [];
  #chars = 0;

  /**
   * The events that end in `bytes`. Ids are left out: events say themselves where they stand.
   *
   * @throws {RangeError} where a line or an event is too long.
   */
  push(bytes: Uint8Array): readonly StreamEvent[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    // Of a CR at the end nobody knows yet whether an LF follows.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_CHARS) throw new RangeError("A line does not end.");
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): StreamEvent | undefined {
    if (line === "") return this.#dispatch();
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "data") {
      this.#data.push(value);
      this.#chars += value.length;
      if (this.#chars > MAX_CHARS) throw new RangeError("An event does not end.");
    } else if (field === "event") this.#type = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
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
