import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { joinRoom } from "../../lib/client/rtc/rtc.ts";
import { randomId } from "../../lib/shared/random_id.ts";
import { ConnectionState } from "../connection_state.tsx";
import { currentClient } from "../current_client.ts";
import { NameForm, NameLine } from "../name_form.tsx";
import { pageClient } from "../page_client.ts";
import { friendlyName } from "../person_name.ts";
import { RoomHead } from "../room_head.tsx";
import { VisitorStorage } from "../visitor_storage.ts";
import { DropState } from "./drop_state.ts";
import { hasFiles } from "./dropped_files.ts";
import { shownName } from "./file_name.ts";
import type { PersonData } from "./people.ts";
import { channelOf, parseRoom, PATH } from "./room_name.ts";
import { SendOptions } from "./send_options.tsx";
import { Targets } from "./targets.tsx";
import { TransferCard } from "./transfer_card.tsx";

/** What the server passes to the island: plain JSON. */
export interface DropProps {
  readonly room: string;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
  /** Whether the visitor may be in the room. */
  readonly mayJoin: boolean;
}

/** The page for files: people in a room send them to each other, directly. */
export function Drop(props: DropProps): JSX.Element {
  const drop = useDrop(props);
  const { room, mayJoin } = props;
  const roomState = drop?.room.value;
  return (
    <div class="drop">
      <section class="drop-head" aria-labelledby="drop-title">
        <div class="row">
          <h1 id="drop-title">Drop</h1>
          <ConnectionState weir={currentClient.value} />
          {drop !== undefined && <NameLine visitor={drop} />}
        </div>
        <p>
          Send files from browser to browser. The server only introduces the two: the files don't
          touch it unless you allow it, and they are encrypted on the way.
        </p>
        <RoomHead path={PATH} room={room} parse={parseRoom} />
        {drop !== undefined && !drop.isNameChosen.value && <NameForm visitor={drop} />}
      </section>
      {!mayJoin && (
        <p class="card problem">
          You don't have permission to join this room. Open another one, or sign in with a token
          that has the right <code>presence</code> for <code>{channelOf(room)}</code>.
        </p>
      )}
      {roomState?.error !== undefined && (
        <p class="card problem" role="alert">{roomState.error.detail}</p>
      )}
      {drop?.problem.value !== undefined && (
        <p class="card problem drop-problem" role="alert">
          {drop.problem.value}
          <button type="button" class="bare" onClick={() => drop.problem.value = undefined}>
            Dismiss
          </button>
        </p>
      )}
      {mayJoin && (
        <div class="drop-columns">
          <Targets drop={drop} />
          <Transfers drop={drop} />
          <SendOptions drop={drop} />
        </div>
      )}
    </div>
  );
}

function Transfers({ drop }: { readonly drop: DropState | undefined }): JSX.Element {
  const transfers = drop?.transfers.value ?? [];
  const offer = drop?.offers[0];
  const question = drop?.questions[0];
  return (
    <section class="drop-transfers" aria-labelledby="transfers-title">
      <h2 id="transfers-title">Files</h2>
      {/* Screen readers hear of offers, and not of every change of the figures. */}
      <p class="hidden-visually" role="status">
        {offer !== undefined && `${offer.person} wants to send ${shownName(offer.transfer.name)}.`}
        {question !== undefined &&
          `You can't reach ${question.person} directly. Send ${
            shownName(question.transfer.name)
          } through the server?`}
      </p>
      {transfers.length === 0 && (
        <p class="card empty drop-none">
          Drop files on a person, or choose them with Send files. What others send you shows up
          here, and nothing is received before you accept it.
        </p>
      )}
      {transfers.length > 0 && (
        <>
          <ul class="list drop-list">
            {transfers.map((view) => (
              <TransferCard
                key={view.transfer.id}
                view={view}
                remove={() => drop?.remove(view)}
              />
            ))}
          </ul>
          <p class="drop-legend" aria-hidden="true">
            <span class="is-missing">missing</span>
            <span class="is-received">received</span>
            <span class="is-lost">lost</span>
            <span class="is-repaired">repaired</span>
          </p>
        </>
      )}
    </section>
  );
}

/** Joins the room. Returns undefined on the server, before the page runs and without the right. */
function useDrop({ room, subject, mayJoin }: DropProps): DropState | undefined {
  const [drop, setDrop] = useState<DropState>();
  useEffect(() => {
    if (!mayJoin) return;
    const storage = new VisitorStorage(subject, () => localStorage);
    const member = subject ?? storage.member(randomId);
    const joined = new DropState({
      join: (data) => joinRoom<PersonData>(pageClient(), channelOf(room), { data, member }),
      name: subject ?? storage.name ?? friendlyName(Math.random),
      isNameChosen: subject !== undefined || storage.name !== undefined,
      mayRename: subject === undefined,
      keepName: (name) => storage.name = name,
    });
    setDrop(joined);
    const ending = new AbortController();
    followPage(joined, ending.signal);
    return () => {
      ending.abort();
      joined[Symbol.dispose]();
    };
  }, []);
  const offers = drop?.offers.length ?? 0;
  useEffect(() => {
    document.title = `${offers === 0 ? "" : `(${offers}) `}${room} · Drop · Weir`;
  }, [offers]);
  return drop;
}

function followPage(drop: DropState, signal: AbortSignal): void {
  // A file that misses its target would replace the page.
  for (const type of ["dragover", "drop"] as const) {
    addEventListener(type, (event) => {
      if (event.defaultPrevented || !hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      if (event.dataTransfer !== null) event.dataTransfer.dropEffect = "none";
    }, { signal });
  }
  addEventListener("beforeunload", (event) => {
    if (drop.hasUnsaved) event.preventDefault();
  }, { signal });
}
