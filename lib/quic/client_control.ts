import { BlockReader, type Treatment } from "./block_reader.ts";
import { FRAME, refuseFrame } from "./frame.ts";
import { Http3Error } from "./http3_error.ts";
import { checkSettings, decodeSettings, MAX_SETTINGS_BYTES } from "./settings.ts";

/** Frames that are not SETTINGS and must not come on a client's control stream. */
const FORBIDDEN = [FRAME.DATA, FRAME.HEADERS, FRAME.PUSH_PROMISE];

/** The largest of the other frames, such as GOAWAY: they have one integer. */
const MAX_INTEGER_BYTES = 8;

/** Checks what comes on a client's control stream (RFC 9114, section 6.2.1). */
export class ClientControl {
  readonly #blocks: BlockReader;
  readonly #onSettings: () => void;
  #hasSettings = false;

  /** @param onSettings is called once, when the client's settings have arrived. */
  constructor(onSettings: () => void) {
    this.#onSettings = onSettings;
    this.#blocks = new BlockReader({
      begin: (type, length) => this.#begin(type, length),
      collected: (_, value) => {
        checkSettings(decodeSettings(value));
        this.#onSettings();
      },
      part: () => {},
    });
  }

  /** Takes the next bytes. @throws {Http3Error} */
  push(bytes: Uint8Array): void {
    this.#blocks.push(bytes);
  }

  #begin(type: number, length: number): Treatment {
    if (!this.#hasSettings) {
      if (type !== FRAME.SETTINGS) {
        throw new Http3Error("MISSING_SETTINGS", "The first frame is not SETTINGS");
      }
      if (length > MAX_SETTINGS_BYTES) {
        throw new Http3Error("EXCESSIVE_LOAD", `SETTINGS has over ${MAX_SETTINGS_BYTES} bytes`);
      }
      this.#hasSettings = true;
      return "collect";
    }
    if (type === FRAME.SETTINGS) throw new Http3Error("FRAME_UNEXPECTED", "SETTINGS is repeated");
    refuseFrame(type, FORBIDDEN);
    if (type === FRAME.CANCEL_PUSH) throw new Http3Error("ID_ERROR", "There are no pushes");
    const isInteger = type === FRAME.GOAWAY || type === FRAME.MAX_PUSH_ID;
    if (isInteger && (length === 0 || length > MAX_INTEGER_BYTES)) {
      throw new Http3Error("FRAME_ERROR", `A frame of type ${type} has ${length} bytes`);
    }
    return "skip";
  }
}
