import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { type TransportName, TRANSPORTS } from "../../lib/client/api.ts";
import { ConnectionState, TRANSPORT_NAMES } from "../connection_state.tsx";
import { currentClient } from "../current_client.ts";
import type { ChannelFeed } from "./channel_feed.ts";
import type { ConsoleModel } from "./console_model.ts";
import { CopyButton } from "../copy_button.tsx";

interface ConnectionBarProps {
  readonly model: ConsoleModel;
  readonly feed: ChannelFeed;
}

/** Shows the state of the connection, its transport and the cursor that was reached. */
export function ConnectionBar({ model, feed }: ConnectionBarProps): JSX.Element {
  return (
    <div class="connection-bar">
      <ConnectionState weir={currentClient.value} />
      <select
        aria-label="Transport"
        value={model.transport.value}
        onChange={({ currentTarget }) =>
          model.useTransport(TRANSPORTS.find((name) => name === currentTarget.value) ?? "")}
      >
        <option value="">Automatic</option>
        {TRANSPORTS.map((name: TransportName) => (
          <option key={name} value={name}>Only {TRANSPORT_NAMES[name]}</option>
        ))}
      </select>
      <CursorMenu
        cursor={feed.cursor.value}
        onRead={(after) => model.readFrom(after)}
        onReload={() => model.reload()}
      />
    </div>
  );
}

interface CursorMenuProps {
  /** The cursor that was reached; empty before the first one. */
  readonly cursor: string;
  readonly onRead: (after: string) => void;
  readonly onReload: () => void;
}

/** Shows the cursor and starts reading from another one. */
function CursorMenu({ cursor, onRead, onReload }: CursorMenuProps): JSX.Element {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => {
    if (menu.current !== null) menu.current.open = false;
  };
  const read = (after: string) => {
    close();
    onRead(after);
  };
  return (
    <details
      class="menu"
      ref={menu}
      onKeyDown={({ key }) => {
        if (key === "Escape") close();
      }}
    >
      <summary>
        Cursor <code>{shortOf(cursor)}</code>
        <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
          <path d="M2.5 4.5 6 8l3.5-3.5" />
        </svg>
      </summary>
      <div class="card stack">
        <div class="cursor">
          <code>{cursor === "" ? "none yet" : cursor}</code>
          {cursor !== "" && <CopyButton text={cursor} what="the cursor" />}
        </div>
        <CursorForm onRead={read} />
        <button
          type="button"
          class="bare"
          onClick={() => {
            close();
            onReload();
          }}
        >
          Show all events
        </button>
      </div>
    </details>
  );
}

function CursorForm({ onRead }: Pick<CursorMenuProps, "onRead">): JSX.Element {
  return (
    <form
      class="stack"
      aria-label="Read from"
      onSubmit={(event) => {
        event.preventDefault();
        const after = String(new FormData(event.currentTarget).get("after")).trim();
        if (after !== "") onRead(after);
      }}
    >
      <label class="field">
        <span>Read from another cursor</span>
        <input
          name="after"
          class="code"
          required
          autocomplete="off"
          spellcheck={false}
          placeholder="0mwpu38co_0000000000000002"
        />
      </label>
      <div class="row">
        <button type="submit">Read</button>
        <button type="button" class="quiet" onClick={() => onRead("earliest")}>Earliest</button>
        <button type="button" class="quiet" onClick={() => onRead("latest")}>Latest</button>
      </div>
    </form>
  );
}

const ZEROS = /_0{5,}(?=\d)/;

/** Shortens the cursor by its leading zeros. */
function shortOf(cursor: string): string {
  return cursor === "" ? "–" : cursor.replace(ZEROS, "_…");
}
