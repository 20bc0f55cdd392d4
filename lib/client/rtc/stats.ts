import type { PeerStats } from "./api.ts";

/** Counters of media packets, for the share that was lost between two calls. */
export interface PacketCounts {
  readonly received: number;
  readonly lost: number;
}

/** What is used of a browser's report. Which of it is there depends on the browser. */
interface Report {
  readonly type: string;
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  readonly selectedCandidatePairId?: string;
  readonly currentRoundTripTime?: number;
  readonly localCandidateId?: string;
  readonly remoteCandidateId?: string;
  readonly candidateType?: string;
  readonly packetsReceived?: number;
  readonly packetsLost?: number;
  readonly framesDecoded?: number;
}

export type StatsReports = ReadonlyMap<string, Report>;

/**
 * Sums up `RTCPeerConnection.getStats()` (W3C webrtc-stats).
 *
 * @param before the counts of the last call.
 */
export function summarizeStats(
  reports: StatsReports,
  before: PacketCounts,
): { readonly stats: PeerStats; readonly counts: PacketCounts } {
  let bytesSent = 0;
  let bytesReceived = 0;
  let framesDecoded = 0;
  let received = 0;
  let lost = 0;
  let pair: Report | undefined;
  for (const report of reports.values()) {
    if (report.type === "transport") {
      bytesSent += report.bytesSent ?? 0;
      bytesReceived += report.bytesReceived ?? 0;
      pair ??= reports.get(report.selectedCandidatePairId ?? "");
    } else if (report.type === "inbound-rtp") {
      received += report.packetsReceived ?? 0;
      lost += report.packetsLost ?? 0;
      framesDecoded += report.framesDecoded ?? 0;
    }
  }
  const isRelayed = (id = "") => reports.get(id)?.candidateType === "relay";
  const newLost = Math.max(0, lost - before.lost);
  const newPackets = newLost + Math.max(0, received - before.received);
  const roundTrip = pair?.currentRoundTripTime;
  return {
    stats: {
      ...roundTrip !== undefined && { roundTrip: roundTrip * 1_000 },
      ...newPackets > 0 && { lossRate: newLost / newPackets },
      ...pair && {
        route: isRelayed(pair.localCandidateId) || isRelayed(pair.remoteCandidateId)
          ? "relay" as const
          : "direct" as const,
      },
      bytesSent,
      bytesReceived,
      framesDecoded,
    },
    counts: { received, lost },
  };
}
