// The promises to clients hold through each proxy of deploy/, in front of two processes.
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { isProxyMissing, PROXY_NAMES, startProxy } from "../support/proxies.ts";
import { WeirServer } from "../support/server.ts";
import { TlsBridge } from "../support/tls_bridge.ts";
import { serverContract } from "../routes/server_contract.ts";

let shared: AsyncDisposableStack | undefined;
let ports: readonly number[] = [];

Deno.test.beforeAll(async () => {
  if (DENOKV_MISSING) return;
  await using undo = new AsyncDisposableStack();
  const denokv = undo.use(await Denokv.start());
  const start = () => WeirServer.start({ env: { WEIR_KV: denokv.url, WEIR_QUIC: "off" } });
  const servers = [undo.use(await start()), undo.use(await start())];
  ports = servers.map(({ port }) => port);
  shared = undo.move();
});

for (const name of PROXY_NAMES) {
  serverContract({
    name: `two processes behind ${name}`,
    ignore: DENOKV_MISSING || isProxyMissing(name),
    keepsConnections: true,
    // Proxies pass no UDP on.
    transports: ["SSE", "WebSocket", "long poll", "short poll"],
    async start() {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await startProxy(name, ports));
      const bridge = undo.use(new TlsBridge(proxy));
      const resources = undo.move();
      return {
        publishUrl: bridge.url,
        readUrl: bridge.url,
        [Symbol.asyncDispose]: () => resources.disposeAsync(),
      };
    },
  }, { switches: false });
}

Deno.test.afterAll(async () => await shared?.disposeAsync());
