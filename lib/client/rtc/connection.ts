import { randomId } from "../../shared/random_id.ts";
import { WeirError } from "../core/weir_error.ts";
import type { IceConfiguration } from "./ice_configuration.ts";
import type { Signal, SignalBody } from "./signal.ts";

/** How long a connection may stay in a state until it is repaired. */
const REPAIR_AFTER_MS: Readonly<Partial<Record<RTCPeerConnectionState, number>>> = {
  new: 5_000,
  connecting: 20_000,
  disconnected: 2_000,
  failed: 0,
};
/** Then the peer's next signals, or its goodbye, have arrived. */
const LOST_MS = 500;
/** The polite peer repairs later, since one of the two is enough. */
const POLITE_DELAY_MS = 3_000;
/** Added for each repair that did not help, up to the longest. */
const REPAIR_STEP_MS = 5_000;
const MAX_REPAIR_DELAY_MS = 30_000;
/** After this many ICE restarts in a row the connection is made again. */
const MAX_RESTARTS = 2;
/** An offer without an answer is sent again: the answer or the offer may have expired. */
const REPEAT_OFFER_MS = 10_000;

/**
 * How often in a minute the peer may make its end again. Guards against one that has this end make
 * RTCPeerConnections without end.
 */
const MAX_REPLACEMENTS = 20;
const REPLACEMENT_PERIOD_MS = 60_000;

interface ConnectionHost {
  /** Whether this end gives way when both make offers. Only the other one begins. */
  readonly isPolite: boolean;
  readonly number: number;
  readonly configuration: IceConfiguration;
  /** Whether signals can be sent now. */
  canSignal(): boolean;
  send(signal: Signal): void;
  /** Called with each new RTCPeerConnection, before it is negotiated. */
  opened(pc: RTCPeerConnection): void;
  /** The state may have changed. */
  changed(): void;
  onError(error: WeirError): void;
}

/**
 * One connection to a peer: an RTCPeerConnection, negotiated as in W3C WebRTC 1.0 §10.7 ("perfect
 * negotiation"), that is repaired by ICE restarts and, when these do not help, made again.
 *
 * Only the impolite peer makes the first offer: Chromium never gathers candidates again if its very
 * first offer is rolled back.
 */
export class Connection {
  pc: RTCPeerConnection;
  /** Whether the last repair did not help, or ICE has failed. */
  isFailed = false;
  /** Whether a TURN server has refused the credential since the last connection. */
  isTurnRefused = false;
  readonly #host: ConnectionHost;
  #receiving = Promise.resolve();
  /** Resolves when the RTCPeerConnection has ended: what it was asked for may never settle then. */
  #ended!: PromiseWithResolvers<void>; // the constructor opens one
  #id = "";
  /** Names the peer's RTCPeerConnection. */
  #remoteId: string | undefined;
  #lastReceived = 0;
  #lastSent = 0;
  #isOffering = false;
  #ignoresOffer = false;
  /** Whether the peer has closed its end. */
  #isLost = false;
  #repairs = 0;
  /** When this end was made again because the peer's was, in the last period. */
  #replacedAtMs: readonly number[] = [];
  #repairTimer: ReturnType<typeof setTimeout> | undefined;
  #offerTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(host: ConnectionHost) {
    this.#host = host;
    this.pc = this.#open();
  }

  get isConnected(): boolean {
    return this.pc.connectionState === "connected" && !this.#isLost;
  }

  /** Uses a signal of the peer, after the ones before it. */
  receive(signal: Signal): void {
    this.#receiving = this.#receiving.then(() => this.#receive(signal)).catch((cause) => {
      if (this.#isClosed || this.#ignoresOffer) return;
      const detail = `A signal of the peer cannot be used: ${cause}`;
      this.#host.onError(new WeirError("bad_data", detail, { cause }));
    });
  }

  /** Asks the impolite peer to begin. */
  begin(): void {
    if (this.#host.isPolite) this.#send({ begin: true });
  }

  /** The peer has closed its RTCPeerConnection, and may make another. */
  lost(): void {
    this.#isLost = true;
    this.#ended.resolve();
    this.#host.changed();
    this.#watch();
  }

  /** Repairs now what waited for signals. */
  resume(): void {
    const { connectionState } = this.pc;
    const isBroken = connectionState === "disconnected" || connectionState === "failed";
    if (isBroken && !this.#host.isPolite) void this.#repair();
    else this.#watch();
  }

  /** Looks for a better way through the network, which has changed. */
  networkChanged(): void {
    if (this.pc.remoteDescription && this.#host.canSignal()) void this.#restartIce(this.pc);
  }

  close(): void {
    this.#isClosed = true;
    this.#closePc();
  }

  #open(): RTCPeerConnection {
    const { configuration, opened } = this.#host;
    const pc = new RTCPeerConnection(configuration.value);
    this.#id = randomId();
    this.#ended = Promise.withResolvers();
    this.#remoteId = undefined;
    this.#lastReceived = this.#lastSent = 0;
    this.#isLost = this.#isOffering = this.#ignoresOffer = false;
    pc.onnegotiationneeded = () => void this.#offer(pc);
    pc.onicecandidate = ({ candidate }) => {
      // An empty candidate ends those of one transport; null ends all.
      if (candidate?.candidate !== "") {
        this.#send(candidate ? { candidates: [candidate.toJSON()] } : { end: true });
      }
    };
    pc.onicecandidateerror = ({ errorCode, url }) => {
      if (!/^turn/.test(url) || (errorCode !== 401 && errorCode !== 403)) return;
      if (!this.isTurnRefused) {
        configuration.refused();
        this.isTurnRefused = true;
        const detail = `${url} refused the credential. Do its secret and clock agree with Weir's?`;
        this.#host.onError(new WeirError("turn_refused", detail));
      }
      if (configuration.isRelayOnly) this.isFailed = true;
      this.#host.changed();
    };
    pc.onsignalingstatechange = () => this.#watchOffer(pc);
    pc.onconnectionstatechange = () => {
      const { connectionState } = pc;
      if (connectionState === "failed") this.isFailed = true;
      if (connectionState === "connected") {
        this.isFailed = this.isTurnRefused = false;
        this.#repairs = 0;
      }
      this.#watch();
      this.#host.changed();
    };
    this.pc = pc;
    opened(pc);
    this.#watch();
    return pc;
  }

  #closePc(): void {
    clearTimeout(this.#repairTimer);
    clearTimeout(this.#offerTimer);
    this.#ended.resolve();
    const { pc } = this;
    pc.onnegotiationneeded =
      pc.onicecandidate =
      pc.onicecandidateerror =
      pc.onsignalingstatechange =
      pc.onconnectionstatechange =
        null;
    pc.close();
  }

  /** Makes the RTCPeerConnection again. */
  #replace(): void {
    this.#closePc();
    this.#open();
    this.#host.changed();
  }

  #mayReplace(): boolean {
    const now = performance.now();
    const recent = this.#replacedAtMs.filter((atMs) => now - atMs < REPLACEMENT_PERIOD_MS);
    const mayReplace = recent.length < MAX_REPLACEMENTS;
    this.#replacedAtMs = mayReplace ? [...recent, now] : recent;
    return mayReplace;
  }

  #send(body: SignalBody): void {
    const { isPolite: _, number: connection, send } = this.#host;
    send({ connection, id: this.#id, for: this.#remoteId, n: ++this.#lastSent, ...body });
  }

  #sendDescription({ localDescription }: RTCPeerConnection): void {
    if (localDescription) {
      this.#send({ description: { type: localDescription.type, sdp: localDescription.sdp } });
    }
  }

  async #offer(pc: RTCPeerConnection): Promise<void> {
    if (this.#host.isPolite && !pc.remoteDescription) return;
    this.#isOffering = true;
    try {
      if (!pc.localDescription) await this.#configure(pc);
      // An offer of the peer may have come meanwhile; then this event comes again.
      if (pc.signalingState === "stable") {
        await pc.setLocalDescription();
        if (pc === this.pc) this.#sendDescription(pc);
      }
    } catch (cause) {
      if (pc !== this.pc || this.#isClosed) return;
      this.#host.onError(new WeirError("no_webrtc", `The browser made no offer: ${cause}`));
    } finally {
      if (pc === this.pc) this.#isOffering = false;
    }
  }

  /** Sets servers with valid credentials, which candidates are gathered from next. */
  async #configure(pc: RTCPeerConnection): Promise<void> {
    const configuration = await this.#host.configuration.get();
    if (pc.signalingState !== "closed") pc.setConfiguration(configuration);
  }

  async #receive(signal: Signal): Promise<void> {
    if (this.#isClosed || (signal.for ?? this.#id) !== this.#id) return;
    if (signal.id !== this.#remoteId) {
      // The peer has made its end again, so this one is useless.
      if (this.#remoteId !== undefined) {
        if (!this.#mayReplace()) return;
        this.#replace();
      }
      this.#remoteId = signal.id;
      this.#lastReceived = 0;
    }
    if (signal.n <= this.#lastReceived) return;
    this.#lastReceived = signal.n;
    if (signal.begin && !this.#host.isPolite) this.#begin();
    await Promise.race([this.#use(this.pc, signal), this.#ended.promise]);
  }

  async #use(pc: RTCPeerConnection, signal: Signal): Promise<void> {
    const { description, candidates = [], end } = signal;
    if (description) await this.#describe(pc, description);
    await Promise.all([
      ...candidates.map((candidate) => pc.addIceCandidate(candidate)),
      end && pc.addIceCandidate(),
    ]);
  }

  /** Makes the first offer, which the polite peer has asked for. */
  #begin(): void {
    const { pc } = this;
    if (pc.remoteDescription) {
      const remoteId = this.#remoteId;
      this.#replace();
      this.#remoteId = remoteId;
    } else this.#sendDescription(pc); // else it follows
  }

  async #describe(pc: RTCPeerConnection, description: RTCSessionDescriptionInit): Promise<void> {
    const isOffer = description.type === "offer";
    const collides = isOffer && (this.#isOffering || pc.signalingState !== "stable");
    this.#ignoresOffer = collides && !this.#host.isPolite;
    if (this.#ignoresOffer) return;
    // The answer to an offer that was sent twice comes twice.
    if (!isOffer && pc.signalingState !== "have-local-offer") return;
    if (!pc.localDescription) await this.#configure(pc);
    if (pc !== this.pc) return;
    await pc.setRemoteDescription(description);
    if (!isOffer) return;
    await pc.setLocalDescription();
    this.#sendDescription(pc);
  }

  /** Repeats an offer until it is answered. */
  #watchOffer(pc: RTCPeerConnection): void {
    clearTimeout(this.#offerTimer);
    if (pc.signalingState !== "have-local-offer") return;
    this.#offerTimer = setTimeout(() => {
      if (this.#host.canSignal()) this.#sendDescription(pc);
      this.#watchOffer(pc);
    }, REPEAT_OFFER_MS);
  }

  /** Repairs the connection if it stays in a state in which it is of no use. */
  #watch(): void {
    clearTimeout(this.#repairTimer);
    const { connectionState } = this.pc;
    const afterMs = this.#isLost ? LOST_MS : REPAIR_AFTER_MS[connectionState];
    if (this.#isClosed || afterMs === undefined) return;
    const politeMs = this.#host.isPolite ? POLITE_DELAY_MS : 0;
    const stepMs = Math.min(this.#repairs * REPAIR_STEP_MS, MAX_REPAIR_DELAY_MS);
    this.#repairTimer = setTimeout(() => void this.#repair(), afterMs + politeMs + stepMs);
  }

  async #repair(): Promise<void> {
    // `resume()` is called once signals can be sent.
    if (!this.#host.canSignal()) return;
    const { pc } = this;
    this.#repairs++;
    const isFirst = this.#isLost || pc.connectionState === "disconnected";
    this.isFailed ||= !isFirst || this.#repairs > 1;
    const canRestart = pc.remoteDescription && !this.#isLost && pc.connectionState !== "new";
    if (canRestart && this.#repairs % (MAX_RESTARTS + 1) !== 0) {
      await this.#restartIce(pc);
    } else {
      if (pc.remoteDescription || !this.#host.isPolite) this.#replace();
      this.begin();
    }
    this.#host.changed();
    this.#watch();
  }

  async #restartIce(pc: RTCPeerConnection): Promise<void> {
    await this.#configure(pc);
    if (pc.signalingState !== "closed") pc.restartIce();
  }
}
