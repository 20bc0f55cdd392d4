/** What stands in a secret's place. */
const MASK = "[secret]";

/** All characters that tokens, keys and tickets have. */
const WORD = /[\w.-]+/g;
/** An API key with more than its id, or a ticket; also one that was cut. */
const KEY = /weir_[0-9A-Za-z]{13}/;
const TICKET = /wt_[0-9A-Za-z]{8}/;
/** Whole words that Weir hands out as cursors (offsets, vectors), whatever their characters spell. */
const CURSOR = /^(?:[0-9a-z]{9}_[0-9]{16}|vA[Q-Za-f][\w-]*)$/;

/** Whether somewhere in `text` stands what looks like a token, an API key or a ticket. */
export function hasSecret(text: string): boolean {
  return withoutSecrets(text) !== text;
}

/**
 * `text` without tokens, API keys and tickets, also those that were cut, for where people or logs
 * see it. Each character is looked at a few times, whatever the text is.
 */
export function withoutSecrets(text: string): string {
  return text.replace(WORD, (word) => {
    const at = secretIn(word);
    return at === -1 ? word : word.slice(0, at) + MASK;
  });
}

/** Where in `word` a secret begins, or -1. */
function secretIn(word: string): number {
  const token = word.indexOf("eyJ"); // `{"` in base64url, with which a JWT begins
  if (token !== -1 && word.includes(".", token)) return token;
  const key = word.search(KEY);
  const at = key !== -1 ? key : word.search(TICKET);
  return at !== -1 && CURSOR.test(word) ? -1 : at;
}
