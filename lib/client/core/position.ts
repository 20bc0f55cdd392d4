import { type Epoch, isOffset, type Position } from "../../shared/offset.ts";
import { WeirError } from "./weir_error.ts";

/**
 * Parses an offset as `parseOffset()` does, whose errors would add the server's code to the bundle.
 *
 * @throws {WeirError} `bad_cursor`
 */
export function toPosition(offset: string): Position {
  if (!isOffset(offset)) {
    throw new WeirError("bad_cursor", `${JSON.stringify(offset)} is not an offset.`);
  }
  return { epoch: offset.slice(0, 9) as Epoch, sequence: Number(offset.slice(10)) };
}
