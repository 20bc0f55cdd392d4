import { type Signal, signal } from "@preact/signals";
import type { Weir } from "../../lib/client/api.ts";
import type { WeirError } from "../../lib/client/client.ts";
import { joinRoom } from "../../lib/client/rtc/rtc.ts";
import { randomId } from "../../lib/shared/random_id.ts";
import { friendlyName, parseName } from "../person_name.ts";
import type { VisitorStorage } from "../visitor_storage.ts";
import type { CallData } from "./call_data.ts";
import { CallSession, type ScreenSource } from "./call_session.ts";
import { LocalMedia } from "./local_media.ts";
import { channelOf } from "./room_name.ts";
import { SpeakingMeter } from "./speaking.ts";

interface CallOptions {
  readonly weir: Weir;
  readonly room: string;
  readonly storage: VisitorStorage;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
  /** Undefined on pages that are neither on HTTPS nor on localhost. */
  readonly devices: MediaDevices | undefined;
  /** Replaced in tests. */
  readonly join?: typeof joinRoom;
}

/** What the page shows: the devices before a call, the call, or what follows it. */
export type CallStage =
  | { readonly name: "lobby" }
  | { readonly name: "call"; readonly session: CallSession }
  /** `error`: why the call ended, unless the visitor left it. */
  | { readonly name: "left"; readonly error?: WeirError };

/** The page of one room, for one visitor. */
export class CallState implements Disposable {
  readonly weir: Weir;
  readonly room: string;
  readonly subject: string | undefined;
  readonly media: LocalMedia;
  readonly meter = new SpeakingMeter();
  readonly name: Signal<string>;
  readonly stage: Signal<CallStage> = signal({ name: "lobby" });
  readonly #storage: VisitorStorage;
  readonly #screens: ScreenSource | undefined;
  readonly #join: typeof joinRoom;

  constructor({ weir, room, storage, subject, devices, join = joinRoom }: CallOptions) {
    this.weir = weir;
    this.room = room;
    this.subject = subject;
    this.media = new LocalMedia(devices);
    this.name = signal(subject ?? storage.name ?? friendlyName(Math.random));
    this.#storage = storage;
    this.#screens = devices !== undefined && "getDisplayMedia" in devices ? devices : undefined;
    this.#join = join;
  }

  /** Joins the room under this name. */
  join(name: string): void {
    if (this.subject === undefined) {
      this.name.value = parseName(name) ?? this.name.peek();
      if (this.#storage.name !== this.name.peek()) this.#storage.name = this.name.peek();
    }
    const room = this.#join<CallData>(this.weir, channelOf(this.room), {
      data: { name: this.name.peek() },
      member: this.subject ?? this.#storage.member(randomId),
    });
    const session = new CallSession({
      room,
      media: this.media,
      name: this.name.peek(),
      screens: this.#screens,
    });
    this.stage.value = { name: "call", session };
    room.state.subscribe(({ status, error }) => {
      if (status === "closed" && error !== undefined) this.#end(error);
    });
  }

  /** Leaves the call, and stops the devices. */
  leave(): void {
    this.#end();
  }

  /** Returns to the choice of devices. */
  prepare(): void {
    this.stage.value = { name: "lobby" };
    void this.media.startAll();
  }

  [Symbol.dispose](): void {
    this.#end();
    this.media[Symbol.dispose]();
    this.meter[Symbol.dispose]();
  }

  #end(error?: WeirError): void {
    const stage = this.stage.peek();
    if (stage.name !== "call") return;
    this.stage.value = { name: "left", ...error !== undefined && { error } };
    this.media.stopAll();
    // Without a connection the server ends the session by itself.
    stage.session[Symbol.asyncDispose]().catch(() => {});
  }
}
