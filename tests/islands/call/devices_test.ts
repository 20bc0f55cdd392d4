import assert from "node:assert/strict";
import {
  deviceError,
  listDevices,
  type MediaDevicesPart,
  openTracks,
} from "../../../islands/call/devices.ts";
import { WeirError } from "../../../lib/client/client.ts";

Deno.test("a device that does not start is an error that names the device and says what to do", () => {
  for (
    const [name, code, detail] of [
      ["NotAllowedError", "permission_denied", /blocks the camera\. Allow it/],
      ["SecurityError", "permission_denied", /blocks the camera\. Allow it/],
      ["NotFoundError", "no_camera", /No camera found\. Connect one/],
      ["OverconstrainedError", "no_camera", /No camera found\. Connect one/],
      ["NotReadableError", "no_camera", /Close other programs/],
      ["AbortError", "no_camera", /Close other programs/],
      ["UnknownError", "no_camera", /The camera does not start: UnknownError: why/],
    ] as const
  ) {
    const error = deviceError("video", new DOMException("why", name));
    assert.equal(error.code, code, name);
    assert.match(error.detail, detail);
  }
  assert.match(deviceError("audio", new DOMException("", "NotFoundError")).detail, /No microphone/);
});

Deno.test("a page without HTTPS says that it needs it", async () => {
  await assert.rejects(openTracks(undefined, { video: "" }), (error) => {
    assert.ok(error instanceof WeirError);
    assert.equal(error.code, "permission_denied");
    assert.match(error.detail, /https:\/\//);
    return true;
  });
  assert.deepEqual(await listDevices(undefined, "video"), []);
});

Deno.test("openTracks() asks for the chosen devices alone", async () => {
  const asked: MediaStreamConstraints[] = [];
  const devices = {
    getUserMedia(constraints: MediaStreamConstraints) {
      asked.push(constraints);
      return Promise.resolve({ getTracks: () => [] });
    },
  } as unknown as MediaDevicesPart;
  await openTracks(devices, { audio: "" });
  await openTracks(devices, { video: "front" });
  assert.deepEqual(asked[0], { audio: {} });
  assert.deepEqual(Object.keys(asked[1] ?? {}), ["video"]);
  const { deviceId } = asked[1]?.video as MediaTrackConstraints;
  assert.deepEqual(deviceId, { exact: "front" });
});

Deno.test("listDevices() numbers devices whose names the browser hides", async () => {
  const all = [
    { kind: "audioinput", deviceId: "a", label: "" },
    { kind: "videoinput", deviceId: "", label: "" }, // without a permission
    { kind: "audioinput", deviceId: "b", label: "Headset" },
    { kind: "audiooutput", deviceId: "c", label: "Speaker" },
  ];
  const devices = {
    enumerateDevices: () => Promise.resolve(all),
  } as unknown as MediaDevicesPart;
  assert.deepEqual(await listDevices(devices, "audio"), [
    { id: "a", label: "microphone 1" },
    { id: "b", label: "Headset" },
  ]);
  assert.deepEqual(await listDevices(devices, "video"), []);
});
