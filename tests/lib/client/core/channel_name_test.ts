import assert from "node:assert/strict";
import { channelPathSegment } from "../../../../lib/client/core/channel_path.ts";
import { channelNameError } from "../../../../lib/client/core/channel_name.ts";

Deno.test("a name that cannot be sent is refused, also without String.isWellFormed()", () => {
  const known = Object.getOwnPropertyDescriptor(String.prototype, "isWellFormed");
  assert.ok(known !== undefined);
  try {
    Reflect.deleteProperty(String.prototype, "isWellFormed"); // as in a browser of 2022
    for (const name of ["a", "room:7/ä 😀", "x".repeat(256), "...", ".a"]) {
      assert.equal(channelNameError(name), undefined);
    }
    for (const name of ["", "a\ud800", "x".repeat(257), ".", ".."]) {
      assert.equal(channelNameError(name)?.code, "bad_channel");
    }
  } finally {
    Object.defineProperty(String.prototype, "isWellFormed", known);
  }
});

Deno.test("names that would change a URL's path are refused", () => {
  assert.equal(channelPathSegment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
  for (const name of [".", "..", "", "a\ud800"]) {
    assert.throws(() => channelPathSegment(name), { code: "bad_channel" });
  }
});
