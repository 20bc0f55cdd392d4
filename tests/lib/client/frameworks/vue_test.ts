import assert from "node:assert/strict";
import { createSSRApp, h } from "vue";
import { renderToString } from "vue/server-renderer";
import { connect } from "../../../../lib/client/client.ts";
import {
  useChannel,
  usePresence,
  usePublish,
  useWeirState,
} from "../../../../lib/client/frameworks/vue.ts";
import { LocalServer } from "../../../support/local_server.ts";

Deno.test("on a server, Vue renders without a connection and without an error", async () => {
  await using server = await LocalServer.start();
  for (const url of ["/", server.url]) {
    const weir = connect(url);
    const before = weir.state.value;
    const app = createSSRApp({
      setup() {
        const { items, hasStarted } = useChannel(weir, "a");
        const { members, error } = usePresence(weir, "a", { member: "ann" });
        const state = useWeirState(weir);
        usePublish(weir, "a");
        return () =>
          h(
            "p",
            [
              items.value.length,
              hasStarted.value,
              members.value.length,
              error.value,
              state.value.status,
            ].join(),
          );
      },
    });
    assert.equal(await renderToString(app), "<p>0,false,0,,idle</p>");
    assert.equal(weir.state.value, before);
    await weir.close();
  }
});
