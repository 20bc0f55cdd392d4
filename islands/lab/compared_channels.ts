/** Returns the channels of a comparison: of small and of large events. */
export function comparedChannels(channel: string): readonly [small: string, large: string] {
  return [`${channel}/small`, `${channel}/large`];
}
