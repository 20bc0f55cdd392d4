/** Formats figures and times. The output is the same on the server and in every browser. */

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const BYTE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
const STEP = 1_024;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `12,345` */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** `12.3K`, for narrow places. */
export function formatCompact(count: number): string {
  return COMPACT.format(count);
}

/** `0.4`, `12`, `1,234`: a rate per second. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : COUNT.format(
    Math.round(perSecond),
  );
}

/** `4 KiB`, `1.2 MiB` */
export function formatBytes(bytes: number): string {
  if (bytes < STEP) return `${COUNT.format(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(STEP)), BYTE_UNITS.length - 1);
  const value = bytes / STEP ** power;
  return `${value < 10 ? Number(value.toFixed(1)) : COUNT.format(Math.round(value))} ${
    BYTE_UNITS[power]
  }`;
}

/** `0.8 ms`, `12 ms`, `1.2 s`, `3 min`, `5 h`, `7 days`. */
export function formatDuration(ms: number): string {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${COUNT.format(Math.round(ms / DAY))} days`;
}

/**
 * Escapes characters that change the direction of text (UAX #9), so that a name cannot look like
 * another one.
 */
export function formatName(text: string): string {
  return text.replaceAll(
    /[\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16)}`,
  );
}

/** `14:03:09.250` from an RFC 3339 time in UTC. */
export function formatClock(time: string): string {
  return time.slice(11, 23);
}

/** `2026-11-21` from an RFC 3339 time in UTC. */
export function formatDate(time: string): string {
  return time.slice(0, 10);
}

/** `14:03` in local time. Only in the browser. */
export function formatLocalClock(time: string | number): string {
  return new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** `14:03:09` in local time, of ms since 1970. Only in the browser. */
export function formatLocalTime(time: number): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

/** `14:03` in local time, or `14:03:09` unless the seconds are 0. Only in the browser. */
export function formatLocalTimeShort(time: number): string {
  return formatLocalTime(time).replace(/:00$/, "");
}

/** `Saturday, 21 November 2026` in local time. Only in the browser. */
export function formatLocalDay(time: string | number): string {
  return new Date(time).toLocaleDateString("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}
