/** Replaces the file atomically: a concurrent reader gets the old text or the new one. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(draft, text, { createNew: true, mode });
    await Deno.rename(draft, path);
  } catch (cause) {
    await Deno.remove(draft).catch(() => {}); // it may not exist
    throw cause;
  }
}
