import { WeirError } from "../../lib/client/client.ts";

export type DeviceKind = "audio" | "video";

/** What the browser lists of a camera or a microphone. */
export interface Device {
  readonly id: string;
  readonly label: string;
}

const NAMES: Readonly<Record<DeviceKind, string>> = { audio: "microphone", video: "camera" };

/** The width that a mesh of six can carry: everyone sends it to everyone else. */
const VIDEO: MediaTrackConstraints = {
  width: { ideal: 640 },
  height: { ideal: 360 },
  frameRate: { max: 30 },
};

/** The part of `navigator.mediaDevices` that a call needs. */
export type MediaDevicesPart = Pick<
  MediaDevices,
  "enumerateDevices" | "getUserMedia" | "addEventListener"
>;

/**
 * Opens one track of each kind.
 *
 * @param ids of the devices to open, by kind; any device for an empty text
 * @throws {WeirError} `no_camera` (also for microphones), `permission_denied`
 */
export async function openTracks(
  devices: MediaDevicesPart | undefined,
  ids: Readonly<Partial<Record<DeviceKind, string>>>,
): Promise<readonly MediaStreamTrack[]> {
  const kind = ids.video === undefined ? "audio" : "video";
  if (devices === undefined) throw insecureError();
  const device = (id: string) => id === "" ? {} : { deviceId: { exact: id } };
  try {
    const stream = await devices.getUserMedia({
      ...ids.audio !== undefined && { audio: device(ids.audio) },
      ...ids.video !== undefined && { video: { ...VIDEO, ...device(ids.video) } },
    });
    return stream.getTracks();
  } catch (cause) {
    throw deviceError(kind, cause);
  }
}

/** Lists the devices of one kind. Without a permission browsers tell no names. */
export async function listDevices(
  devices: MediaDevicesPart | undefined,
  kind: DeviceKind,
): Promise<readonly Device[]> {
  const all = await devices?.enumerateDevices() ?? [];
  return all.filter(({ kind: each, deviceId }) => each === `${kind}input` && deviceId !== "")
    .map(({ deviceId, label }, i) => ({
      id: deviceId,
      label: label === "" ? `${NAMES[kind]} ${i + 1}` : label,
    }));
}

/** Says why the browser gave no track, and what to do (Media Capture and Streams, §10.2). */
export function deviceError(kind: DeviceKind, cause: unknown): WeirError {
  const device = NAMES[kind];
  const name = cause instanceof DOMException ? cause.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new WeirError(
        "permission_denied",
        `The browser blocks the ${device}. Allow it in the site settings next to the address, ` +
          "then try again.",
        { cause },
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return new WeirError(
        "no_camera",
        `No ${device} found. Connect one, then try again.`,
        { cause },
      );
    case "NotReadableError":
    case "AbortError":
      return new WeirError(
        "no_camera",
        `The ${device} does not start. Close other programs that use it, then try again.`,
        { cause },
      );
    default:
      return new WeirError("no_camera", `The ${device} does not start: ${String(cause)}`, {
        cause,
      });
  }
}

/** The device was disconnected while it was on. */
export function lostError(kind: DeviceKind): WeirError {
  return new WeirError(
    "no_camera",
    `The ${NAMES[kind]} was disconnected. Connect it or choose another one, then try again.`,
  );
}

function insecureError(): WeirError {
  return new WeirError(
    "permission_denied",
    "Browsers give cameras and microphones only to pages on HTTPS or localhost. Open this page " +
      "with https://.",
  );
}
