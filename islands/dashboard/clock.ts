/** Formats ms since 1970 as `14:03:09` in local time. Only in the browser. */
export function clockTime(time: number): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

/** Formats a time as `14:03`, or with seconds if they are not 0. */
export function shortClockTime(time: number): string {
  const text = clockTime(time);
  return text.endsWith(":00") ? text.slice(0, -3) : text;
}
