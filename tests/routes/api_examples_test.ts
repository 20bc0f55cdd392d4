import assert from "node:assert/strict";
import { curlOf } from "../../routes/api_description/reference.tsx";
import { ROUTES } from "../../routes/api_description/routes.ts";
import { LocalServer } from "../support/local_server.ts";

/** What the examples need, in this order. */
const FIRST = ["publishBody", "putChannel", "putMember"];
/** What removes what other examples need. */
const LAST = ["deleteChannel", "deleteMember"];
/** Statuses of examples whose ids are made up, by the route. Open mode has no keys (403). */
const REFUSED: Readonly<Record<string, number>> = {
  createKey: 403,
  deleteKey: 403,
  listKeys: 403,
  listRevocations: 403,
  revoke: 403,
  rotateKey: 403,
  sendSignal: 404,
};
/** Opens a WebSocket, by another program than curl. */
const NOT_CURL = "openSocket";

Deno.test("the command of every route in the reference works as it is", async () => {
  await using server = await LocalServer.start({ WEIR_PAGES: "all" });
  const routes = Object.entries(ROUTES).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, description]) => ({ path, method, description }))
  );
  const order = ({ description: { id } }: typeof routes[number]) =>
    LAST.includes(id) ? 99 : FIRST.includes(id) ? FIRST.indexOf(id) : 50;
  let commands = 0;
  for (const route of routes.toSorted((a, b) => order(a) - order(b))) {
    const { id } = route.description;
    if (id === NOT_CURL) continue;
    const command = curlOf(route, { origin: server.url, isOpen: true });
    const status = await statusOf(command);
    if (REFUSED[id] !== undefined) assert.equal(status, REFUSED[id], command);
    else assert.ok(status >= 200 && status < 300, `${status}: ${command}`);
    commands++;
  }
  assert.ok(commands > 30);
});

async function statusOf(command: string): Promise<number> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `${command} -s -o /dev/null -w '%{http_code}'`],
    stderr: "null",
  }).output();
  return Number(new TextDecoder().decode(stdout));
}
