import type { JSX } from "preact";
import type { DeviceKind } from "./devices.ts";
import type { LocalMedia } from "./local_media.ts";
import { Problem } from "./problem.tsx";

const LABELS: Readonly<Record<DeviceKind, string>> = { audio: "Microphone", video: "Camera" };

interface DeviceFieldProps {
  /** Undefined until the page runs. */
  readonly media: LocalMedia | undefined;
  readonly kind: DeviceKind;
}

/** Chooses a camera or a microphone, and says why there is none. */
export function DeviceField({ media, kind }: DeviceFieldProps): JSX.Element {
  const device = media?.device(kind);
  const choices = device?.choices.value ?? [];
  const state = device?.state.value;
  return (
    <div class="call-device">
      <label class="field">
        <span>{LABELS[kind]}</span>
        <select
          disabled={choices.length === 0}
          value={device?.chosen.value}
          onChange={({ currentTarget }) => void media?.choose(kind, currentTarget.value)}
        >
          {choices.length === 0 && <option value="">None</option>}
          {choices.map(({ id, label }) => <option key={id} value={id}>{label}</option>)}
        </select>
      </label>
      {state?.status === "failed" && (
        <Problem error={state.error}>
          <button type="button" class="quiet" onClick={() => void media?.start(kind)}>
            Try again
          </button>
        </Problem>
      )}
    </div>
  );
}
