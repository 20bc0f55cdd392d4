import type { Listening, ListenOptions, Member, Weir, WeirEvent } from "../../lib/client/api.ts";
import { ObservableValue } from "../../lib/client/core/observable.ts";
import type { ConnectionState } from "../../lib/client/core/state.ts";
import { WeirError } from "../../lib/client/core/weir_error.ts";

interface SignalCall {
  readonly channel: string;
  readonly member: string;
  readonly session: string;
  readonly to: string;
  readonly toSession: string;
  readonly data: unknown;
}

type RoomMember = Member & { readonly sessions: readonly string[] };

/** A Weir server for rooms, in this page: presence with sessions, and signals. */
export class RoomServer {
  readonly members = new ObservableValue<readonly RoomMember[]>([]);
  readonly inboxes = new Map<string, { data: unknown[]; wake: () => void }>();
  /** Signals that were sent. */
  readonly signals: SignalCall[] = [];
  /** Called with each signal before it is stored. */
  delay: (call: SignalCall) => Promise<void> = () => Promise.resolve();

  /** Whether a signal is stored; else it is lost. */
  keeps: (call: SignalCall) => boolean = () => true;

  /** Lists a session of a member, or removes it. */
  list(member: string, session: string, isThere: boolean, data?: unknown): void {
    const since = new Date().toISOString();
    const known = this.members.value.find((one) => one.member === member);
    const rest = (known?.sessions ?? []).filter((one) => one !== session);
    const sessions = isThere ? [...rest, session].sort() : rest;
    const changed = { since, ...known, member, data: data ?? known?.data, sessions };
    const others = this.members.value.filter((one) => one.member !== member);
    this.members.set(sessions.length > 0 ? [...others, changed] : others);
  }

  /** Returns a client of this server, which is the member. */
  client(member: string): DoubleWeir {
    return new DoubleWeir(this, member);
  }
}

/** The part of a client that rooms use. */
class DoubleWeir {
  readonly link: {
    readonly state: ObservableValue<ConnectionState>;
    readonly call: unknown;
    readonly retry: () => void;
  };
  /** How often a room has asked to connect without backoff. */
  retries = 0;
  readonly #server: RoomServer;
  readonly #member: string;

  constructor(server: RoomServer, member: string) {
    this.#server = server;
    this.#member = member;
    const state = new ObservableValue<ConnectionState>({ status: "open", transport: "websocket" });
    this.link = {
      state,
      retry: () => void this.retries++,
      call: async ({ op, ...call }: { op: string } & SignalCall) => {
        if (state.value.status !== "open") throw new WeirError("unreachable", "cut");
        if (op === "post") return { iceServers: [], expiresIn: 300_000 };
        await server.delay(call);
        if (state.value.status !== "open") throw new WeirError("unreachable", "cut");
        const { toSession, data, member, session, to } = call;
        server.signals.push(call);
        if (!server.keeps(call)) return { sessions: [toSession] };
        const inbox = this.#inbox(toSession);
        const copy = JSON.parse(JSON.stringify(data)); // as over the wire
        inbox.data.push({ from: member, fromSession: session, to, toSession, data: copy });
        inbox.wake();
        return { sessions: [toSession] };
      },
    };
  }

  get isOnline(): boolean {
    return this.link.state.value.status === "open";
  }

  get weir(): Weir {
    return this as unknown as Weir;
  }

  /** Cuts this client off from the server, or connects it again. */
  setOnline(isOnline: boolean): void {
    const error = new WeirError("unreachable", "cut");
    this.link.state.set(
      isOnline
        ? { status: "open", transport: "websocket" }
        : { status: "reconnecting", at: 0, delay: 0, error },
    );
    for (const { wake } of this.#server.inboxes.values()) wake();
  }

  presence(): unknown {
    let entered: string | undefined;
    return {
      members: this.#server.members,
      enter: (data: unknown, { session }: { readonly session: string }) => {
        entered = session;
        this.#server.list(this.#member, session, true, data);
        return Promise.resolve();
      },
      leave: () => {
        if (entered !== undefined) this.#server.list(this.#member, entered, false);
        return Promise.resolve();
      },
    };
  }

  listen(channel: string, { onEvent }: ListenOptions<unknown>): Listening {
    const inbox = this.#inbox(channel.split("/").at(-1) ?? "");
    let next = 0;
    let isClosed = false;
    inbox.wake = async () => {
      while (!isClosed && this.link.state.value.status === "open" && next < inbox.data.length) {
        await onEvent({ data: inbox.data[next++] } as WeirEvent, "");
      }
    };
    inbox.wake();
    const close = () => void (isClosed = true);
    return { cursor: "", close, [Symbol.dispose]: close };
  }

  #inbox(session: string): { data: unknown[]; wake: () => void } {
    const inbox = this.#server.inboxes.get(session) ?? { data: [], wake: () => {} };
    this.#server.inboxes.set(session, inbox);
    return inbox;
  }
}
