import { type Access, openAccess } from "../../lib/auth/access.ts";
import type { ConnectionHandler, EndReason } from "../../lib/auth/connections.ts";
import { keySourceOf } from "../../lib/auth/key_source.ts";
import { parseLimits } from "../../lib/auth/limit_settings.ts";
import { BroadcastDoorbell } from "../../lib/kv/broadcast_doorbell.ts";
import type { Draft } from "../../lib/log/log.ts";
import "./open_broadcast_channel.ts";

/** Records what happens to its connection. */
export class FakeHandler implements ConnectionHandler {
  readonly warnings: number[] = [];
  readonly ends: EndReason[] = [];
  changes = 0;

  expiring(expiresIn: number): void {
    this.warnings.push(expiresIn);
  }

  changed(): void {
    this.changes++;
  }

  end(reason: EndReason): void {
    this.ends.push(reason);
  }
}

/** The access control of one isolate, and what it recorded. */
export interface AccessIsolate {
  readonly access: Access;
  /** Types of the audit events. */
  readonly audited: string[];
  readonly warnings: string[];
}

/** The access control of isolates that share a store; their JWK sets may differ. */
export class AccessWorld implements AsyncDisposable {
  readonly #name = crypto.randomUUID();
  readonly #resources = new AsyncDisposableStack();

  private constructor(readonly kv: Deno.Kv) {}

  static async make(): Promise<AccessWorld> {
    const world = new AccessWorld(await Deno.openKv(":memory:"));
    world.#resources.defer(() => world.kv.close());
    return world;
  }

  async open(jwks: string, kv = this.kv): Promise<AccessIsolate> {
    const audited: string[] = [];
    const warnings: string[] = [];
    const doorbell = new BroadcastDoorbell(this.#name);
    this.#resources.defer(() => doorbell.close());
    const access = await openAccess({
      kv,
      doorbell,
      log: {
        append: (drafts: readonly Draft[]) => {
          audited.push(...drafts.map(({ type }) => type ?? ""));
          return Promise.resolve([]);
        },
      },
      isOpen: false,
      anonymous: undefined,
      tokens: {
        jwks: keySourceOf(jwks),
        issuer: undefined,
        audience: undefined,
        maxLifetimeMs: 1e9,
        skewMs: 0,
      },
      limits: parseLimits(""),
      onWarning: (message) => warnings.push(message),
    });
    this.#resources.defer(() => access.close());
    return { access, audited, warnings };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}
