import assert from "node:assert/strict";
import { type StatsReports, summarizeStats } from "../../../../lib/client/rtc/stats.ts";

const NOTHING = { received: 0, lost: 0 };

function reports(remoteType: string, packetsReceived: number, packetsLost: number): StatsReports {
  return new Map(Object.entries({
    T: {
      type: "transport",
      selectedCandidatePairId: "P",
      bytesSent: 10,
      bytesReceived: 20,
    },
    P: {
      type: "candidate-pair",
      currentRoundTripTime: 0.012,
      localCandidateId: "L",
      remoteCandidateId: "R",
    },
    L: { type: "local-candidate", candidateType: "host" },
    R: { type: "remote-candidate", candidateType: remoteType },
    A: { type: "inbound-rtp", packetsReceived, packetsLost },
    V: { type: "inbound-rtp", packetsReceived: 0, packetsLost: 0, framesDecoded: 7 },
  }));
}

Deno.test("statistics say how a peer is connected, and what is lost since the last time", () => {
  const first = summarizeStats(reports("host", 90, 10), NOTHING);
  assert.deepEqual(first.stats, {
    roundTrip: 12,
    lossRate: 0.1,
    route: "direct",
    bytesSent: 10,
    bytesReceived: 20,
    framesDecoded: 7,
  });
  const next = summarizeStats(reports("relay", 190, 10), first.counts);
  assert.equal(next.stats.lossRate, 0);
  assert.equal(next.stats.route, "relay");
});

Deno.test("before there is a connection, statistics have zeros", () => {
  const { stats } = summarizeStats(new Map([["T", { type: "transport" }]]), NOTHING);
  assert.deepEqual(stats, { bytesSent: 0, bytesReceived: 0, framesDecoded: 0 });
});
