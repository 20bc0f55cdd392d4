import { SerialQueue } from "../shared/async/serial_queue.ts";
import { Problem } from "../shared/problem.ts";
import { kindOf } from "../shared/problem_codes.ts";
import type { Audit } from "./audit.ts";
import { Authority } from "./authority.ts";
import type { Connections } from "./connections.ts";
import type { SwapEntry } from "./control_journal.ts";
import type { Credentials } from "./credentials.ts";

interface CredentialSwapsOptions {
  readonly connections: Connections;
  readonly credentials: Credentials;
  readonly audit: Audit;
  /** Passes a swap to the other isolates. */
  readonly announce: (entry: SwapEntry) => Promise<unknown>;
  readonly onWarning: (message: string, cause: unknown) => void;
}

/** Gives open streams another credential, whichever isolate they are in. */
export class CredentialSwaps {
  readonly #options: CredentialSwapsOptions;
  /** Applies swaps from other isolates in their order. */
  readonly #queue = new SerialQueue();

  constructor(options: CredentialSwapsOptions) {
    this.#options = options;
  }

  /**
   * Gives the open stream `id` another credential.
   *
   * @returns true if the stream is in this isolate, false if the swap was passed to the others.
   * @throws {Problem} `forbidden` if the stream belongs to another tenant or subject.
   */
  async swap(id: string, authority: Authority): Promise<boolean> {
    const { connections, announce } = this.#options;
    if (connections.replace(id, authority)) return true;
    await announce({ type: "swap", stream: id, grant: authority.grant });
    return false;
  }

  /** Applies a swap that another isolate passed on, if the stream is in this one. */
  apply(entry: SwapEntry): void {
    if (!this.#options.connections.has(entry.stream)) return;
    void this.#queue.run(() => this.#apply(entry));
  }

  /** Resolves when no swap is being applied. */
  async close(): Promise<void> {
    await this.#queue.idle();
  }

  async #apply({ stream, grant }: SwapEntry): Promise<void> {
    const { connections, credentials, audit, onWarning } = this.#options;
    try {
      const authority = await credentials.revive(grant);
      if (authority === undefined) {
        throw new Problem("forbidden", "The stream's new credential is no longer trusted.");
      }
      connections.replace(stream, authority);
    } catch (cause) {
      const isRefusal = cause instanceof Problem && kindOf(cause.code) !== "storage";
      if (!isRefusal) return onWarning("a stream could not be given another credential", cause);
      // The other isolate has already answered 202: the tenant finds the refusal in its audit.
      audit.recordDenial({ authority: new Authority(grant), ip: "" }, cause.detail);
    }
  }
}
