import { formatName } from "../format.ts";

/** Characters. Guards against names that leave no space for the page. */
const MAX_SHOWN = 80;
/** UTF-8 bytes that common file systems allow in a name. */
const MAX_SAVED_BYTES = 255;
const UNNAMED = "unnamed";
// deno-lint-ignore no-control-regex -- matches control characters on purpose
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029]/g;
/** Characters that separate paths or that file systems refuse, and those that change direction. */
const UNSAFE = /[\\/:*?"<>|\u202a-\u202e\u2066-\u2069]/g;

/**
 * Returns the name of a file to show. Characters that change the direction of text are escaped, so
 * that `exe.jpg` cannot be `gpj.exe`. A long name keeps its end, which has the extension.
 */
export function shownName(name: string): string {
  const text = formatName(name.toWellFormed().replaceAll(CONTROLS, " ").trim()) || UNNAMED;
  return shortened(text, MAX_SHOWN);
}

/** Returns the name under which to save a file: never a path, never hidden. */
export function savedName(name: string): string {
  const text = name.toWellFormed().replaceAll(CONTROLS, "_").replaceAll(UNSAFE, "_")
    .trim().replace(/^\.+/, "_").replace(/[. ]+$/, "_") || UNNAMED;
  let max = MAX_SAVED_BYTES;
  let saved = text;
  while (new TextEncoder().encode(saved).length > MAX_SAVED_BYTES) saved = shortened(text, max--);
  return saved;
}

/** Cuts out the middle of a text. @param max characters of the result */
function shortened(text: string, max: number): string {
  const characters = Array.from(text);
  if (characters.length <= max) return text;
  const end = Math.floor(max / 3);
  return `${characters.slice(0, max - end - 1).join("")}…${characters.slice(-end).join("")}`;
}
