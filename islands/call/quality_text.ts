/** Texts for figures about connections to peers. */
import type { PeerStats } from "../../lib/client/rtc/api.ts";

export const ROUTE_NAMES: Readonly<Record<NonNullable<PeerStats["route"]>, string>> = {
  direct: "direct",
  relay: "relay (TURN)",
};

/** `0 %`, `0.4 %`, `12 %`. @param rate from 0 to 1 */
export function formatLoss(rate: number): string {
  const percent = 100 * rate;
  return `${percent < 9.95 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

export function bitsPerSecond(bytes: number, ms: number): number {
  // A connection that was made again counts from 0.
  return ms <= 0 ? 0 : Math.max(0, 8_000 * bytes / ms);
}

/** `340 kbit/s`, `1.2 Mbit/s`. @param rate bits per second */
export function formatBitRate(rate: number): string {
  const kilobits = rate / 1_000;
  return kilobits < 999.5
    ? `${Math.round(kilobits)} kbit/s`
    : `${(kilobits / 1_000).toFixed(1)} Mbit/s`;
}
