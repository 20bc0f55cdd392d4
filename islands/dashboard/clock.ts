/** `14:03:09` on the clock of whoever looks, of ms since 1970. Only once the page runs. */
export function clockTime(time: number): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

/** `14:03`, and with the seconds where they are not 0. */
export function shortClockTime(time: number): string {
  const text = clockTime(time);
  return text.endsWith(":00") ? text.slice(0, -3) : text;
}
