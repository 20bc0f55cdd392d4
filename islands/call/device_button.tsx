import type { JSX } from "preact";
import type { DeviceKind } from "./devices.ts";
import { Icon } from "./icons.tsx";
import type { LocalMedia } from "./local_media.ts";

const LABELS = {
  audio: { on: "Mute", off: "Unmute", icon: "microphone" },
  video: { on: "Stop camera", off: "Start camera", icon: "camera" },
} as const;

interface DeviceButtonProps {
  /** Undefined until the page runs. */
  readonly media: LocalMedia | undefined;
  readonly kind: DeviceKind;
}

/** Turns the camera or the microphone on or off. */
export function DeviceButton({ media, kind }: DeviceButtonProps): JSX.Element {
  const status = media?.device(kind).state.value.status;
  const { on, off, icon } = LABELS[kind];
  const isOn = status === "on";
  return (
    <button
      type="button"
      class={`quiet call-control${isOn ? "" : " is-off"}`}
      disabled={media === undefined || status === "starting"}
      onClick={() => isOn ? media?.stop(kind) : void media?.start(kind)}
    >
      <Icon name={icon} isOff={!isOn} />
      <span>{isOn ? on : off}</span>
    </button>
  );
}
