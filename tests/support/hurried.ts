import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";

/** Waits between two tries are in these bounds, limits on what others take are above. In ms. */
const SHORTEST = 1_001;
const LONGEST = 4_000;

/** This machine, for a client that waits for nothing but answers: it tries again at once. */
export const HURRIED: Platform = {
  ...PLATFORM,
  random: () => 0,
  setTimeout: (callback, milliseconds) => {
    const isPause = milliseconds >= SHORTEST && milliseconds <= LONGEST;
    return PLATFORM.setTimeout(callback, isPause ? 10 : milliseconds);
  },
};
