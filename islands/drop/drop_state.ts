import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type {
  IncomingFile,
  Peer,
  Room,
  RoomState,
  SendFileOptions,
} from "../../lib/client/rtc/api.ts";
import { formatName } from "../format.ts";
import { reasonOf } from "../reason.ts";
import { nameOf, peopleOf, type Person, type PersonData } from "./people.ts";
import { TransferView } from "./transfer_view.ts";

/** How files are sent. */
export interface SendMode {
  readonly mode: NonNullable<SendFileOptions["mode"]>;
  readonly connections: number;
}

interface DropOptions {
  /** Joins the room under this name. */
  readonly join: (data: PersonData) => Room<PersonData>;
  readonly name: string;
  readonly isNameChosen: boolean;
  readonly mayRename: boolean;
  /** Keeps the name for the next visit. */
  readonly keepName: (name: string) => void;
}

/** One visitor in one room: the people there, and the files that come and go. */
export class DropState implements Disposable {
  readonly room: Signal<RoomState>;
  readonly people: Signal<readonly Person[]> = signal([]);
  /** The newest first. */
  readonly transfers: Signal<readonly TransferView[]> = signal([]);
  readonly mode: Signal<SendMode> = signal({ mode: "reliable", connections: 1 });
  /** The last thing that went wrong outside of a transfer. */
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly mayRename: boolean;
  readonly #name: Signal<string>;
  readonly #isNameChosen: Signal<boolean>;
  readonly #keepName: (name: string) => void;
  readonly #room: Room<PersonData>;
  readonly #endings: (() => void)[] = [];
  /** Stops watching the data of peers. */
  #unwatchPeers: readonly (() => void)[] = [];

  constructor({ join, name, isNameChosen, mayRename, keepName }: DropOptions) {
    this.mayRename = mayRename;
    this.#keepName = keepName;
    this.#name = signal(name);
    this.#isNameChosen = signal(isNameChosen);
    this.#room = join({ name });
    this.room = signal(this.#room.state.value);
    this.#endings.push(
      this.#room.state.subscribe((state) => this.room.value = state),
      this.#room.peers.subscribe((peers) => this.#onPeers(peers)),
      this.#room.on("file", (transfer) => this.#onFile(transfer)),
      this.#room.on("error", ({ detail }) => this.problem.value = detail),
    );
  }

  get name(): ReadonlySignal<string> {
    return this.#name;
  }

  get isNameChosen(): ReadonlySignal<boolean> {
    return this.#isNameChosen;
  }

  /** Whether closing the page now would lose something for good. */
  get hasUnsaved(): boolean {
    return this.transfers.value.some(({ isUnsaved }) => isUnsaved);
  }

  /** Offers of others that wait for an answer. */
  get offers(): readonly TransferView[] {
    return this.transfers.value.filter(({ direction, figures }) =>
      direction.kind === "incoming" && figures.value.state.status === "offered"
    );
  }

  /** Files that wait until the visitor has answered whether they may go through the server. */
  get questions(): readonly TransferView[] {
    return this.transfers.value.filter(({ question }) => question !== undefined);
  }

  /** Offers files to one session. */
  send(peer: Peer<PersonData>, files: readonly File[]): void {
    const person = nameOf(peer);
    batch(() => {
      for (const file of files) {
        try {
          const transfer = peer.sendFile(file, {
            ...this.mode.value,
            throughServer: (file) => view.ask(file),
          });
          const view = new TransferView({ kind: "outgoing", transfer, file }, person);
          this.#add(view);
        } catch (cause) {
          this.problem.value = reasonOf(cause);
        }
      }
    });
  }

  /** Removes a transfer that is over from the page, and deletes a received file. */
  remove(view: TransferView): void {
    if (view.direction.kind === "incoming") view.transfer.cancel();
    view[Symbol.dispose]();
    this.transfers.value = this.transfers.value.filter((other) => other !== view);
  }

  rename(name: string): void {
    this.#keepName(name);
    this.#isNameChosen.value = true;
    if (name === this.#name.value) return;
    this.#name.value = name;
    this.#room.setData({ name }).catch((cause) => this.problem.value = reasonOf(cause));
  }

  [Symbol.dispose](): void {
    for (const end of [...this.#endings, ...this.#unwatchPeers]) end();
    for (const view of this.transfers.value) view[Symbol.dispose]();
    void this.#room.close();
  }

  #onPeers(peers: readonly Peer<PersonData>[]): void {
    for (const unwatch of this.#unwatchPeers) unwatch();
    const show = () => this.people.value = peopleOf(peers, this.#room.state.value.member);
    this.#unwatchPeers = peers.map(({ data }) => data.subscribe(show));
    show();
  }

  #onFile(transfer: IncomingFile): void {
    const { member, session } = transfer.peer;
    const peer = this.#room.peers.value.find((one) => one.session === session);
    const person = peer === undefined ? formatName(member) : nameOf(peer);
    this.#add(new TransferView({ kind: "incoming", transfer }, person));
  }

  #add(view: TransferView): void {
    this.transfers.value = [view, ...this.transfers.value];
  }
}
