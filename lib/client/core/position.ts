import { type Epoch, isOffset, type Position } from "../../shared/offset.ts";
import { WeirError } from "../core/weir_error.ts";

/**
 * As parseOffset(), whose error would bring the server's problems into the bundle.
 *
 * @throws {WeirError} `bad_cursor`
 */
export function toPosition(offset: string): Position {
  if (!isOffset(offset)) {
    throw new WeirError("bad_cursor", `${JSON.stringify(offset)} is no offset of an event.`);
  }
  return { epoch: offset.slice(0, 9) as Epoch, sequence: Number(offset.slice(10)) };
}
