import { type Signal, signal } from "@preact/signals";
import type { WeirError } from "../../lib/client/client.ts";
import {
  type Device,
  deviceError,
  type DeviceKind,
  listDevices,
  lostError,
  type MediaDevicesPart,
  openTracks,
} from "./devices.ts";

/** The state of the visitor's camera or microphone. */
type DeviceState =
  | { readonly status: "off" | "starting" | "on" }
  | { readonly status: "failed"; readonly error: WeirError };

const KINDS: readonly DeviceKind[] = ["audio", "video"];

/** A camera or a microphone. */
interface LocalDevice {
  readonly state: Signal<DeviceState>;
  /** Stays while a microphone is muted. A camera that is off has none, so that its light is off. */
  readonly track: Signal<MediaStreamTrack | undefined>;
  /** All devices of the kind, to choose from. */
  readonly choices: Signal<readonly Device[]>;
  /** The id of the chosen device. Empty: the browser's default. */
  readonly chosen: Signal<string>;
  /** Counts what was asked for, so that only the last request counts. */
  requests: number;
}

/** The visitor's own camera and microphone, before and during a call. */
export class LocalMedia implements Disposable {
  readonly audio = newDevice();
  readonly video = newDevice();
  /** Both tracks: what others receive as one stream. */
  readonly stream = new MediaStream();
  readonly #devices: MediaDevicesPart | undefined;
  readonly #ending = new AbortController();

  /** @param devices undefined on pages that may not have them */
  constructor(devices: MediaDevicesPart | undefined) {
    this.#devices = devices;
    const { signal } = this.#ending;
    devices?.addEventListener("devicechange", () => void this.#list(), { signal });
  }

  device(kind: DeviceKind): LocalDevice {
    return kind === "audio" ? this.audio : this.video;
  }

  /** Starts both devices with one question to the visitor, or the one that there is. */
  async startAll(): Promise<void> {
    const requests = KINDS.map((kind) => this.#request(kind));
    try {
      const tracks = await openTracks(this.#devices, {
        audio: this.audio.chosen.peek(),
        video: this.video.chosen.peek(),
      });
      for (const [i, kind] of KINDS.entries()) {
        const track = tracks.find((each) => each.kind === kind);
        if (track !== undefined) this.#use(kind, track, requests[i]);
      }
    } catch (cause) {
      const error = cause as WeirError; // all that openTracks() throws
      if (error.code === "permission_denied") {
        for (const [i, kind] of KINDS.entries()) {
          const ofKind = error.cause === undefined ? error : deviceError(kind, error.cause);
          this.#fail(kind, ofKind, requests[i]);
        }
      } else await Promise.all(KINDS.map((kind) => this.start(kind)));
    }
    await this.#list();
  }

  /** Starts the device, or ends the mute. A failure is in its state. */
  async start(kind: DeviceKind): Promise<void> {
    const device = this.device(kind);
    const track = device.track.peek();
    if (track !== undefined && device.state.peek().status !== "failed") {
      track.enabled = true;
      device.state.value = { status: "on" };
      return;
    }
    await this.#open(kind);
  }

  /** Stops the camera, or mutes the microphone, which then starts without delay. */
  stop(kind: DeviceKind): void {
    const device = this.device(kind);
    device.requests++;
    const track = device.track.peek();
    if (kind === "video") this.#setTrack(kind, undefined);
    else if (track !== undefined) track.enabled = false;
    device.state.value = { status: "off" };
  }

  /** Uses another device from now on. It stays off if it is off. */
  async choose(kind: DeviceKind, id: string): Promise<void> {
    const device = this.device(kind);
    device.chosen.value = id;
    if (device.state.peek().status !== "off") await this.#open(kind);
    else this.#setTrack(kind, undefined);
  }

  /** Stops both devices, so that their lights go out. */
  stopAll(): void {
    for (const kind of KINDS) {
      this.device(kind).requests++;
      this.#setTrack(kind, undefined);
      this.device(kind).state.value = { status: "off" };
    }
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.stopAll();
  }

  async #open(kind: DeviceKind): Promise<void> {
    const request = this.#request(kind);
    try {
      const [track] = await openTracks(this.#devices, {
        [kind]: this.device(kind).chosen.peek(),
      });
      if (track !== undefined) this.#use(kind, track, request);
    } catch (cause) {
      this.#fail(kind, cause as WeirError, request); // all that openTracks() throws
    }
    await this.#list();
  }

  #request(kind: DeviceKind): number {
    const device = this.device(kind);
    device.state.value = { status: "starting" };
    return ++device.requests;
  }

  #use(kind: DeviceKind, track: MediaStreamTrack, request: number | undefined): void {
    const device = this.device(kind);
    if (device.requests !== request) return track.stop();
    this.#setTrack(kind, track);
    device.state.value = { status: "on" };
    device.chosen.value = track.getSettings().deviceId ?? device.chosen.peek();
    track.addEventListener("ended", () => {
      if (device.track.peek() !== track) return;
      this.#setTrack(kind, undefined);
      device.state.value = { status: "failed", error: lostError(kind) };
    });
  }

  #fail(kind: DeviceKind, error: WeirError, request: number | undefined): void {
    const device = this.device(kind);
    if (device.requests !== request) return;
    this.#setTrack(kind, undefined);
    device.state.value = { status: "failed", error };
  }

  /** Stops the track before, if another one takes its place. */
  #setTrack(kind: DeviceKind, track: MediaStreamTrack | undefined): void {
    const device = this.device(kind);
    const before = device.track.peek();
    if (before !== undefined) {
      this.stream.removeTrack(before);
      before.stop();
    }
    if (track !== undefined) this.stream.addTrack(track);
    device.track.value = track;
  }

  async #list(): Promise<void> {
    for (const kind of KINDS) {
      this.device(kind).choices.value = await listDevices(this.#devices, kind);
    }
  }
}

function newDevice(): LocalDevice {
  return {
    state: signal<DeviceState>({ status: "off" }),
    track: signal<MediaStreamTrack | undefined>(undefined),
    choices: signal<readonly Device[]>([]),
    chosen: signal(""),
    requests: 0,
  };
}
