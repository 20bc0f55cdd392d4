/**
 * Returns an upper bound of the bytes that a value takes in V8's serialization, or any number above
 * `max` if it is larger. Stops there, so that large values cost little. Dates, maps and the like
 * count as objects without properties: Weir stores none.
 */
export function sizeUpTo(max: number, value: unknown): number {
  switch (typeof value) {
    case "string":
      return 5 + (value.length > max || ASCII.test(value) ? value.length : 3 * value.length);
    case "number":
    case "bigint":
    case "symbol":
      return 10;
    case "object":
      break;
    default:
      return 2;
  }
  if (value === null) return 2;
  if (ArrayBuffer.isView(value)) return 12 + value.byteLength;
  let size = 8;
  if (Array.isArray(value)) {
    for (const item of value) {
      size += sizeUpTo(max - size, item);
      if (size > max) return size;
    }
    return size;
  }
  for (const [name, item] of Object.entries(value)) {
    size += name.length + 3 + sizeUpTo(max - size, item);
    if (size > max) return size;
  }
  return size;
}

const ASCII = /^[\0-\x7f]*$/;
