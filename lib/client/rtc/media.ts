import { WeirError } from "../core/weir_error.ts";

/**
 * Opens a camera and a microphone: `navigator.mediaDevices.getUserMedia()` with errors that say what
 * to do.
 *
 * @throws {WeirError} `no_camera`, `permission_denied`.
 */
export async function getUserMedia(constraints?: MediaStreamConstraints): Promise<MediaStream> {
  return await open(() => navigator.mediaDevices.getUserMedia(constraints));
}

/**
 * Asks the user for a screen or window to share: `navigator.mediaDevices.getDisplayMedia()` with
 * errors that say what to do.
 *
 * @throws {WeirError} `no_camera`, `permission_denied`.
 */
export async function getDisplayMedia(options?: DisplayMediaStreamOptions): Promise<MediaStream> {
  return await open(() => navigator.mediaDevices.getDisplayMedia(options));
}

async function open(ask: () => Promise<MediaStream>): Promise<MediaStream> {
  try {
    return await ask();
  } catch (cause) {
    const { name } = cause as DOMException; // TypeError: there is no `navigator.mediaDevices`
    const isRefused = name === "NotAllowedError" || name === "SecurityError";
    const detail = isRefused
      ? "The camera, microphone or screen is not allowed: allow it in the browser's settings."
      : name === "TypeError"
      ? "The browser gives cameras and microphones only to pages by HTTPS or on localhost."
      : "There is no such camera or microphone, or another program uses it: connect or free it.";
    throw new WeirError(isRefused ? "permission_denied" : "no_camera", detail, { cause });
  }
}
