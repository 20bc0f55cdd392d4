/** Replaces a secret. */
const MASK = "[secret]";

/** The characters of tokens, API keys and tickets. */
const WORD = /[\w.-]+/g;
/** An API key with more than its id, also if it was cut. */
const KEY = /weir_[0-9A-Za-z]{13}/;
/** A ticket, also if it was cut. */
const TICKET = /wt_[0-9A-Za-z]{8}/;
/** Offsets and vector cursors, which may contain the characters of a key or ticket by chance. */
const CURSOR = /^(?:[0-9a-z]{9}_[0-9]{16}|vA[Q-Za-f][\w-]*)$/;

/** Returns whether `text` contains a token, an API key or a ticket. */
export function hasSecret(text: string): boolean {
  return withoutSecrets(text) !== text;
}

/**
 * Masks tokens, API keys and tickets in `text`, also those that were cut, before people or logs see
 * it. Takes linear time for any text.
 */
export function withoutSecrets(text: string): string {
  return text.replace(WORD, (word) => {
    const at = secretIn(word);
    return at === -1 ? word : word.slice(0, at) + MASK;
  });
}

/** Returns the index in `word` at which a secret starts, or -1. */
function secretIn(word: string): number {
  const token = word.indexOf("eyJ"); // `{"` in base64url, with which a JWT begins
  if (token !== -1 && word.includes(".", token)) return token;
  const key = word.search(KEY);
  const at = key !== -1 ? key : word.search(TICKET);
  return at !== -1 && CURSOR.test(word) ? -1 : at;
}
