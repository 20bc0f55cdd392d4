import type { WebStorage } from "../lib/client/reading/web_storage.ts";

const NAME = "name";
const MEMBER = "member";
/** The chat was the first page that had names. */
const PREFIX = "weir-chat:";

/**
 * What the browser stores for one visitor, on all pages on which people meet. If storage is denied
 * or full, it lasts as long as the page.
 */
export class VisitorStorage {
  readonly #prefix: string;
  readonly #open: () => WebStorage;
  readonly #fallback = new Map<string, string>();

  /**
   * @param subject of the sign-in token. Each subject has its own data in a browser.
   * @param open returns the storage or throws, as `() => localStorage` does
   */
  constructor(subject: string | undefined, open: () => WebStorage) {
    this.#prefix = subject === undefined ? PREFIX : `${PREFIX}${JSON.stringify(subject)}:`;
    this.#open = open;
  }

  get name(): string | undefined {
    return this.get(NAME);
  }

  set name(name: string) {
    this.set(NAME, name);
  }

  /** Returns the id of this browser as a member. `make` creates it the first time. */
  member(make: () => string): string {
    const known = this.get(MEMBER);
    if (known !== undefined && /^[0-9a-z]{1,32}$/.test(known)) return known;
    const made = make();
    this.set(MEMBER, made);
    return made;
  }

  /** Whether everything is still there when the page is opened again. */
  get isPersistent(): boolean {
    return this.#fallback.size === 0;
  }

  /** Tells whether the key of a `storage` event is that of the name. */
  isName(key: string | null): boolean {
    return key === this.keyOf(NAME);
  }

  /** Returns the name of an item in the browser's storage. */
  protected keyOf(key: string): string {
    return this.#prefix + key;
  }

  protected get(key: string): string | undefined {
    const value = this.#fallback.get(key);
    if (value !== undefined) return value;
    try {
      return this.#open().getItem(this.keyOf(key)) ?? undefined;
    } catch {
      return undefined; // storage is denied
    }
  }

  protected set(key: string, value: string): void {
    try {
      this.#open().setItem(this.keyOf(key), value);
      this.#fallback.delete(key);
    } catch {
      this.#fallback.set(key, value);
    }
  }
}
