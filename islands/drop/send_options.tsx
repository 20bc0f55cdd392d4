import type { JSX } from "preact";
import type { DropState, SendMode } from "./drop_state.ts";

const MODES: readonly { readonly mode: SendMode["mode"]; readonly label: string }[] = [
  { mode: "reliable", label: "Reliable" },
  { mode: "partial", label: "Partial" },
];
const CONNECTIONS = [1, 2, 4, 8] as const;

/** What each mode is for. */
const ABOUT_MODES: Readonly<Record<SendMode["mode"], string>> = {
  reliable:
    "The browser sends each lost packet again until it arrives. This is the right choice for files.",
  partial:
    "The browser gives up on a packet after three tries, and the receiver asks for the missing " +
    "chunks again. It is here so that you can watch losses and repairs: files do not arrive " +
    "sooner. It suits data that grows old, such as positions in a game.",
};

/** Chooses how the next files are sent. */
export function SendOptions({ drop }: { readonly drop: DropState | undefined }): JSX.Element {
  const { mode, connections } = drop?.mode.value ?? { mode: "reliable", connections: 1 };
  const isReady = drop !== undefined;
  const set = (change: Partial<SendMode>) => {
    if (drop !== undefined) drop.mode.value = { ...drop.mode.value, ...change };
  };
  return (
    <section class="drop-options" aria-labelledby="options-title">
      <h2 id="options-title">How to send</h2>
      <div class="row">
        <fieldset class="segments">
          <legend>Delivery</legend>
          {MODES.map((one) => (
            <label key={one.mode}>
              <input
                type="radio"
                name="mode"
                disabled={!isReady}
                checked={one.mode === mode}
                onChange={() => set({ mode: one.mode })}
              />
              <span>{one.label}</span>
            </label>
          ))}
        </fieldset>
        <fieldset class="segments">
          <legend>Connections</legend>
          {CONNECTIONS.map((count) => (
            <label key={count}>
              <input
                type="radio"
                name="connections"
                disabled={!isReady}
                checked={count === connections}
                onChange={() => set({ connections: count })}
              />
              <span>{count}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <p class="outcome">
        {ABOUT_MODES[mode]} {connections === 1
          ? "One connection is enough on a local network."
          : "Several connections share a long path better: each one has its own congestion control. On a local network they gain nothing."}
      </p>
    </section>
  );
}
