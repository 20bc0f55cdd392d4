/**
 * Returns about how many bytes a value takes in V8's serialization; any number above `max` if it is
 * larger. Stops there, so that large values cost little. Dates, maps and the like count as objects
 * without properties: Weir stores none.
 */
export function valueSize(value: unknown, max: number): number {
  switch (typeof value) {
    case "string":
      return textSize(value, max) + 3;
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 2 ** 30 ? integerSize(value) : 9;
    case "bigint":
      return 11;
    case "object":
      return value === null ? 1 : objectSize(value, max);
    default:
      return 1;
  }
}

/** Returns about how many bytes a key of the store takes. */
export function keySize(key: Deno.KvKey): number {
  let size = 0;
  for (const part of key) {
    if (typeof part === "string") size += textSize(part, Infinity) + 2;
    else size += part instanceof Uint8Array ? part.length + 2 : 12;
  }
  return size;
}

function objectSize(value: object, max: number): number {
  if (ArrayBuffer.isView(value)) return 12 + value.byteLength;
  let size = 5;
  if (Array.isArray(value)) {
    let indexSize = 0;
    for (const item of value) {
      // V8 may then store each item with its index.
      if (item === undefined) indexSize = 3;
      size += valueSize(item, max - size);
      if (size > max) return size;
    }
    return size + indexSize * value.length;
  }
  for (const [name, item] of Object.entries(value)) {
    size += name.length + 2 + valueSize(item, max - size);
    if (size > max) return size;
  }
  return size;
}

function textSize(text: string, max: number): number {
  return text.length > max || ASCII.test(text) ? text.length : 3 * text.length;
}

/** A tag, and 7 bits for each byte. */
function integerSize(value: number): number {
  const magnitude = Math.abs(value);
  return magnitude < 2 ** 6 ? 2 : magnitude < 2 ** 13 ? 3 : magnitude < 2 ** 20 ? 4 : 6;
}

const ASCII = /^[\0-\x7f]*$/;
