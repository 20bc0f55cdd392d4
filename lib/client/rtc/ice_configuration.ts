import type { Link } from "../core/link.ts";
import { retryCall } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";
import type { IceServers, RoomOptions } from "./api.ts";

/** The share of their life after which credentials are replaced, so that no use is too late. */
const USED_LIFE = 0.75;
/** How long the last servers stay in use after the server refused to name any. */
const REFUSED_MS = 30_000;

type Options = Pick<RoomOptions<unknown>, "iceServers" | "iceTransportPolicy">;

/** The STUN and TURN servers of a room, fetched when they are needed and before they end. */
export class IceConfiguration {
  /** As it is known now. */
  value: RTCConfiguration;
  readonly #fetch: () => Promise<IceServers>;
  readonly #onError: (error: WeirError) => void;
  #validUntil = 0;
  #fetching: Promise<RTCConfiguration> | undefined;

  constructor(
    link: Link,
    { iceServers, iceTransportPolicy = "all" }: Options,
    onError: (error: WeirError) => void,
  ) {
    this.value = { iceTransportPolicy };
    this.#onError = onError;
    if (typeof iceServers === "function") this.#fetch = iceServers;
    else if (iceServers) this.#fetch = () => Promise.resolve({ iceServers });
    else {
      this.#fetch = () =>
        // The browser checks the server's answer.
        retryCall(link, () => link.call({ op: "post", path: "/v1/ice" })) as unknown as Promise<
          IceServers
        >;
    }
  }

  get isRelayOnly(): boolean {
    return this.value.iceTransportPolicy === "relay";
  }

  get hasTurn(): boolean {
    return /"turns?:/.test(JSON.stringify(this.value.iceServers ?? []));
  }

  /** Resolves with servers whose credentials are valid. Never rejects. */
  get(): Promise<RTCConfiguration> {
    if (Date.now() < this.#validUntil) return Promise.resolve(this.value);
    return this.#fetching ??= this.#renew().finally(() => this.#fetching = undefined);
  }

  /** A TURN server refused the credential. */
  refused(): void {
    this.#validUntil = 0;
  }

  async #renew(): Promise<RTCConfiguration> {
    try {
      const { iceServers, expiresIn = Infinity } = await this.#fetch();
      this.value = { ...this.value, iceServers: [...iceServers] };
      this.#validUntil = Date.now() + expiresIn * USED_LIFE;
    } catch (cause) {
      this.#validUntil = Date.now() + REFUSED_MS;
      this.#onError(
        cause instanceof WeirError
          ? cause
          : new WeirError("no_turn", `\`iceServers\` failed: ${cause}`, { cause }),
      );
    }
    return this.value;
  }
}
