/** What stands in a secret's place. */
const MASK = "[secret]";

/**
 * A JWT (its first part is JSON in base64url), an API key with more than its id, or a ticket; also
 * one that was cut. Linear: no two parts can take the same character.
 */
const SECRET = /eyJ[\w-]*(?:\.[\w-]*)+|weir_[0-9A-Za-z]{13,50}|wt_[0-9A-Za-z]{8,32}/;
const SECRETS = new RegExp(SECRET, "g");

/** Whether somewhere in `text` stands what looks like a token, an API key or a ticket. */
export function hasSecret(text: string): boolean {
  return SECRET.test(text);
}

/** `text` without tokens, API keys and tickets, for where people or logs see it. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRETS, MASK);
}
