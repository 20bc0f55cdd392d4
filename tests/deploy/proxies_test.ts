import assert from "node:assert/strict";
import { TRANSPORTS } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { isProxyMissing, PROXY_NAMES, startProxy } from "../support/proxies.ts";
import { newChannel } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { trustingPlatform } from "../support/trusting_platform.ts";

for (const name of PROXY_NAMES) {
  Deno.test(`the client library publishes and reads through ${name} on every transport`, {
    ignore: isProxyMissing(name),
  }, async () => {
    await using server = await WeirServer.start();
    await using proxy = await startProxy(name, [server.port, server.port]);
    using platform = trustingPlatform(proxy.certificate.cert);
    for (const transport of TRANSPORTS) {
      await using weir = makeClient(proxy.url, { transports: [transport] }, platform);
      const channel = newChannel();
      const subscription = weir.subscribe<number>(channel, { after: "earliest" });
      for (let i = 0; i < 3; i++) await weir.publish(channel, i);
      const items = subscription[Symbol.asyncIterator]();
      for (let i = 0; i < 3; i++) {
        const { value } = await items.next();
        assert.equal(value?.kind !== "gap" && value?.data, i, transport);
      }
    }
  });
}
