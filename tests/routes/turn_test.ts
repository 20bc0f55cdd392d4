import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { Coturn, COTURN_MISSING } from "../support/coturn.ts";
import { LocalServer } from "../support/local_server.ts";

const ignore = CHROMIUM_MISSING || COTURN_MISSING;
const SECRET = "a-secret-of-sixteen-characters";

Deno.test("two peers connect through coturn with credentials from Weir", { ignore }, async () => {
  await using coturn = await Coturn.start({ secret: SECRET, allowsLoopback: true });
  await using weir = await startWeir(coturn.port);
  await using chromium = await openPage(weir);
  const { states, candidates } = await connectByRelay(chromium.page);
  assert.deepEqual(states, ["open"]);
  assert.deepEqual(candidates, ["relay", "relay"]);
});

Deno.test("coturn refuses a credential of another secret", { ignore }, async () => {
  await using coturn = await Coturn.start({ secret: `${SECRET}2`, allowsLoopback: true });
  await using weir = await startWeir(coturn.port);
  await using chromium = await openPage(weir);
  const { states } = await connectByRelay(chromium.page);
  assert.deepEqual(states, ["401"]);
});

Deno.test("as documented, coturn relays nothing to loopback addresses", { ignore }, async () => {
  await using coturn = await Coturn.start({ secret: SECRET, allowsLoopback: false });
  await using weir = await startWeir(coturn.port);
  await using chromium = await openPage(weir);
  const connecting = connectByRelay(chromium.page);
  connecting.catch(() => {}); // it ends with the page
  await coturn.logged(/127\.0\.0\.1 (?:denied|is denied)|403: Forbidden IP/);
});

function startWeir(port: number): Promise<LocalServer> {
  return LocalServer.start({
    WEIR_TURN_URLS: `turn:127.0.0.1:${port}?transport=udp`,
    WEIR_TURN_SECRET: SECRET,
  });
}

async function openPage(weir: LocalServer): Promise<Chromium> {
  const chromium = await Chromium.open();
  await chromium.page.goto(`${weir.url}/healthz`);
  return chromium;
}

/** Connects two peers of the page by relays alone. Resolves when that has succeeded or failed. */
function connectByRelay(page: Page): Promise<{
  /** `open`, or the codes of ICE errors. */
  readonly states: readonly string[];
  /** The types of the candidates in use. */
  readonly candidates: readonly string[];
}> {
  return page.evaluate(async () => {
    const { iceServers } = await (await fetch("/v1/ice", { method: "POST" })).json();
    const config: RTCConfiguration = { iceServers, iceTransportPolicy: "relay" };
    const [ann, bob] = [new RTCPeerConnection(config), new RTCPeerConnection(config)];
    ann.onicecandidate = ({ candidate }) => void bob.addIceCandidate(candidate ?? undefined);
    bob.onicecandidate = ({ candidate }) => void ann.addIceCandidate(candidate ?? undefined);
    const channel = ann.createDataChannel("test");
    const state = new Promise<string>((resolve) => {
      channel.onopen = () => resolve("open");
      ann.onicecandidateerror = ({ errorCode }) => resolve(String(errorCode));
    });
    await ann.setLocalDescription();
    await bob.setRemoteDescription(ann.localDescription as RTCSessionDescription);
    await bob.setLocalDescription();
    await ann.setRemoteDescription(bob.localDescription as RTCSessionDescription);
    const states = [await state];
    const candidates: string[] = [];
    (await ann.getStats()).forEach((report) => {
      if (report.type !== "candidate-pair" || !report.nominated) return;
      candidates.push(report.localCandidateId, report.remoteCandidateId);
    });
    const stats = await ann.getStats();
    return { states, candidates: candidates.map((id) => stats.get(id)?.candidateType) };
  });
}
