import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { IncomingFile, TransferState } from "../../lib/client/rtc/api.ts";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { reasonOf } from "../reason.ts";
import { ChunkMap } from "./chunk_map.tsx";
import { savedName, shownName } from "./file_name.ts";
import { timeFor } from "./speed.ts";
import { isOver, type TransferFigures, type TransferView } from "./transfer_view.ts";

interface TransferCardProps {
  readonly view: TransferView;
  /** Removes it from the page. */
  readonly remove: () => void;
}

/** One file that comes or goes. */
export function TransferCard({ view, remove }: TransferCardProps): JSX.Element {
  const { direction, person, transfer } = view;
  const figures = view.figures.value;
  const { state } = figures;
  const name = shownName(transfer.name);
  const isIncoming = direction.kind === "incoming";
  const title = `transfer-${transfer.id}`;
  return (
    <li class="card transfer" data-kind={direction.kind} data-status={state.status}>
      <header>
        <h3 id={title}>
          <bdi>{name}</bdi>
        </h3>
        <p class="transfer-way soft">
          <span>{isIncoming ? "from" : "to"}</span> <bdi class="ellipsis">{person}</bdi>
          <span class="number">· {formatBytes(transfer.size)}</span>
        </p>
      </header>
      {hasProgress(state) && (
        <progress max={1} value={partOf(state, transfer.size)} aria-labelledby={title} />
      )}
      <p class={`transfer-state ${state.status === "failed" ? "is-error" : ""}`}>
        {sentence(view, figures)}
      </p>
      {state.chunks.length > 1 && hasProgress(state) && (
        <ChunkMap
          chunks={state.chunks}
          label={`Chunks of ${name}: ${formatCount(state.lost)} lost, ${
            formatCount(state.repaired)
          } repaired`}
        />
      )}
      {hasProgress(state) && state.status !== "declined" && <Figures state={state} />}
      <div class="transfer-buttons">
        <Buttons view={view} state={state} name={name} remove={remove} />
      </div>
    </li>
  );
}

/** Whether there is something to see of how far it has come. */
function hasProgress({ status, bytes }: TransferState): boolean {
  return status === "active" || status === "paused" || status === "waiting" || status === "done" ||
    bytes > 0;
}

/** Returns how much of the file has arrived, from 0 to 1. */
function partOf({ status, bytes }: TransferState, size: number): number {
  return status === "done" || size === 0 ? 1 : Math.min(1, bytes / size);
}

const SERVER_NOTE =
  " through the server, because you can't reach each other directly. The server can read it.";

/** Says where the transfer is, and what happens next. */
function sentence(
  { direction: { kind }, person, question, isPausedHere, isUnsaved, savedTo, transfer: { size } }:
    TransferView,
  { state, bytesPerSecond, activeMs }: TransferFigures,
): string {
  const part = `${Math.floor(100 * partOf(state, size))} %`;
  switch (state.status) {
    case "offered":
      if (question !== undefined) {
        return `You can't reach ${person} directly. Send it through the server? The server can ` +
          `read it, takes at most ${formatBytes(question.limit)}, and is slower.`;
      }
      return kind === "incoming"
        ? `${person} wants to send you this file${state.isThroughServer ? SERVER_NOTE : "."}`
        : `Waits until ${person} accepts.`;
    case "active": {
      const speed = bytesPerSecond === undefined || bytesPerSecond === 0
        ? ""
        : ` · ${formatBytes(Math.round(bytesPerSecond))}/s`;
      const leftMs = timeFor(size - state.bytes, bytesPerSecond);
      const left = leftMs === undefined ? "" : ` · ${formatTimeLeft(leftMs)} left`;
      const way = state.isThroughServer ? " · Through the server" : "";
      return `${part}${speed}${left}${way}`;
    }
    case "paused":
      return `${part} · ${isPausedHere ? "Paused" : `${person} has paused`}`;
    case "waiting":
      return `${part} · ${person} is not connected. The transfer continues when they are back.`;
    case "done": {
      const speed = activeMs === 0
        ? ""
        : ` at ${formatBytes(Math.round(size / activeMs * 1_000))}/s`;
      const what = kind === "incoming" ? "Received" : "Sent";
      const time = activeMs === 0 ? "" : ` in ${formatDuration(activeMs)}${speed}`;
      if (savedTo !== undefined) return `Saved as ${savedTo}${time}. The checksum is right.`;
      return `${what}${time}. The checksum is right.${
        isUnsaved ? " Save the file before you close this page." : ""
      }`;
    }
    case "declined":
      return kind === "incoming" ? "You declined." : `${person} declined.`;
    case "cancelled":
      return state.error?.detail ?? "Cancelled.";
    case "failed":
      return state.error?.detail ?? "The transfer failed.";
  }
}

/** `8 s`, `3 min`, `2 h`: whole units, since it is an estimate. */
function formatTimeLeft(ms: number): string {
  return ms < 59_500 ? `${Math.max(1, Math.round(ms / 1_000))} s` : formatDuration(ms);
}

function Figures({ state: { lost, repaired, rounds } }: { readonly state: TransferState }) {
  return (
    <dl class="transfer-figures">
      <Figure name="Lost" value={lost} id="lost" />
      <Figure name="Repaired" value={repaired} id="repaired" />
      <Figure name="Rounds of repair" value={rounds} id="rounds" />
    </dl>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: number;
  readonly id: string;
}

function Figure({ name, value, id }: FigureProps): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-figure={id}>{formatCount(value)}</dd>
    </div>
  );
}

interface ButtonsProps {
  readonly view: TransferView;
  readonly state: TransferState;
  readonly name: string;
  readonly remove: () => void;
}

function Buttons({ view, state, name, remove }: ButtonsProps): JSX.Element {
  const { direction, transfer } = view;
  const of = <span class="hidden-visually">{name}</span>;
  if (isOver(state)) {
    return (
      <>
        {direction.kind === "incoming" && state.status === "done" && view.savedTo === undefined && (
          <SaveLink
            transfer={direction.transfer}
            name={name}
            onSave={() => view.saved()}
          />
        )}
        <button type="button" class="quiet" onClick={remove}>Remove{of}</button>
      </>
    );
  }
  const { question } = view;
  if (question !== undefined) {
    return (
      <>
        <button type="button" onClick={() => question.answer(true)}>
          Send through the server{of}
        </button>
        <button type="button" class="quiet" onClick={() => transfer.cancel()}>Cancel{of}</button>
      </>
    );
  }
  if (state.status === "offered" && direction.kind === "incoming") {
    const { transfer: incoming } = direction;
    return (
      <>
        <button type="button" onClick={() => incoming.accept()}>Accept{of}</button>
        {canPick() && (
          <button type="button" class="quiet" onClick={() => void saveTo(view)}>
            Save to…{of}
          </button>
        )}
        <button type="button" class="quiet" onClick={() => incoming.decline()}>Decline{of}</button>
      </>
    );
  }
  return (
    <>
      {view.isPausedHere
        ? <button type="button" onClick={() => view.resume()}>Resume{of}</button>
        : state.status !== "offered" && (
          <button
            type="button"
            class="quiet"
            onClick={() => view.pause()}
          >
            Pause{of}
          </button>
        )}
      <button type="button" class="quiet" onClick={() => transfer.cancel()}>Cancel{of}</button>
    </>
  );
}

/** The part of the File System Access API that TypeScript does not know. */
interface FilePicker {
  /** @throws {DOMException} `AbortError` if the visitor chooses nothing */
  showSaveFilePicker?(options: { readonly suggestedName: string }): Promise<FileSystemFileHandle>;
}

function canPick(): boolean {
  return (globalThis as FilePicker).showSaveFilePicker !== undefined;
}

/** Asks the visitor where to save an offered file, and accepts it. */
async function saveTo(view: TransferView): Promise<void> {
  const suggestedName = savedName(view.transfer.name);
  try {
    const handle = await (globalThis as FilePicker).showSaveFilePicker?.({ suggestedName });
    if (handle !== undefined) view.acceptTo(handle);
  } catch (cause) {
    if (!(cause instanceof DOMException && cause.name === "AbortError")) throw cause;
  }
}

interface SaveLinkProps {
  readonly transfer: IncomingFile;
  readonly name: string;
  readonly onSave: () => void;
}

/** Saves a received file among the visitor's downloads. */
function SaveLink({ transfer, name, onSave }: SaveLinkProps): JSX.Element {
  const [url, setUrl] = useState<string>();
  const [fault, setFault] = useState<string>();
  useEffect(() => {
    const ending = new AbortController();
    transfer.file().then((file) => {
      if (ending.signal.aborted) return;
      // Without its type, so that the browser never shows it as a page of this origin.
      const url = URL.createObjectURL(file.slice(0, file.size, "application/octet-stream"));
      ending.signal.addEventListener("abort", () => URL.revokeObjectURL(url));
      setUrl(url);
    }, (cause) => setFault(reasonOf(cause)));
    return () => ending.abort();
  }, [transfer]);
  if (fault !== undefined) return <p class="outcome is-error" role="alert">{fault}</p>;
  if (url === undefined) return <button type="button" disabled>Save</button>;
  return (
    <a class="button" href={url} download={savedName(transfer.name)} onClick={onSave}>
      Save<span class="hidden-visually">{name}</span>
    </a>
  );
}
