import type { Problem } from "../shared/problem.ts";

/** Whether the store has room for events. */
export interface StoreRoom {
  /** Returns why events are refused for now, or undefined if they are not. */
  refusal(): Problem | undefined;
  /** Receives how many bytes of rows were deleted: the store can use them again. */
  freed(bytes: number): void;
}

/** The room of a store whose disk is not Weir's concern. */
export const OTHER_ROOM: StoreRoom = { refusal: () => undefined, freed() {} };
