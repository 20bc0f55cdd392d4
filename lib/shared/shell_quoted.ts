/** Quotes a text for a POSIX shell, so that it has no special characters. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
