import { BlockReader, type Treatment } from "./block_reader.ts";
import { CapsuleReader, type SessionClose } from "./capsule.ts";
import { FRAME, refuseFrame } from "./frame.ts";
import { Http3Error } from "./http3_error.ts";
import { decodeFieldSection, MAX_FIELD_SECTION_BYTES } from "./qpack.ts";
import { parseRequest, type Request } from "./request.ts";

/** Frames that must not come on a request stream. */
const FORBIDDEN = [
  FRAME.CANCEL_PUSH,
  FRAME.SETTINGS,
  FRAME.PUSH_PROMISE,
  FRAME.GOAWAY,
  FRAME.MAX_PUSH_ID,
];

/** Reads a request, and the capsules after that of a session, from the bytes of its stream. */
export class RequestReader {
  readonly #frames: BlockReader;
  readonly #capsules = new CapsuleReader();
  #request: Request | undefined;

  constructor() {
    this.#frames = new BlockReader({
      begin: (type, length) => this.#begin(type, length),
      collected: (_, value) => this.#request = parseRequest(decodeFieldSection(value)),
      part: (_, bytes) => this.#capsules.push(bytes),
    });
  }

  /** The request, once it has arrived. */
  get request(): Request | undefined {
    return this.#request;
  }

  /** What the client closed the session with, once it has. */
  get close(): SessionClose | undefined {
    return this.#capsules.close;
  }

  /** Takes the next bytes. @throws {Http3Error} */
  push(bytes: Uint8Array): void {
    this.#frames.push(bytes);
  }

  /** Takes the end of the stream. @throws {Http3Error} */
  end(): void {
    if (!this.#frames.isBetweenBlocks) {
      throw new Http3Error("FRAME_ERROR", "A request stream ends within a frame");
    }
    if (this.#request === undefined) {
      throw new Http3Error("REQUEST_INCOMPLETE", "A request stream ends without a request");
    }
    if (this.#request.isWebTransport && !this.#capsules.isBetweenCapsules) {
      throw new Http3Error("MESSAGE_ERROR", "A session ends within a capsule");
    }
  }

  #begin(type: number, length: number): Treatment {
    refuseFrame(type, FORBIDDEN);
    if (type === FRAME.HEADERS) {
      if (this.#request?.isWebTransport) {
        throw new Http3Error("FRAME_UNEXPECTED", "A session has no second HEADERS frame");
      }
      if (this.#request !== undefined) return "skip"; // trailers
      if (length > MAX_FIELD_SECTION_BYTES) {
        throw new Http3Error("EXCESSIVE_LOAD", `HEADERS has over ${MAX_FIELD_SECTION_BYTES} bytes`);
      }
      return "collect";
    }
    if (type !== FRAME.DATA) return "skip";
    if (this.#request === undefined) {
      throw new Http3Error("FRAME_UNEXPECTED", "DATA comes before HEADERS");
    }
    return this.#request.isWebTransport ? "pass" : "skip";
  }
}
