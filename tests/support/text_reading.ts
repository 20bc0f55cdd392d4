import assert from "node:assert/strict";

/**
 * Reads until what came contains `mark`, and returns it. Fails if the stream ends before.
 *
 * @param text what was read before
 */
export async function readTo(
  mark: string,
  reader: ReadableStreamDefaultReader<string>,
  text = "",
): Promise<string> {
  while (!text.includes(mark)) {
    const { value, done } = await reader.read();
    assert.ok(!done, `the stream ended after ${text}`);
    text += value;
  }
  return text;
}
