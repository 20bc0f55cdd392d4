import type { JSX } from "preact";

/** Paths on a grid of 20 × 20. */
const PATHS = {
  microphone:
    "M10 3a2 2 0 0 1 2 2v5a2 2 0 0 1-4 0V5a2 2 0 0 1 2-2zM5 9.5a5 5 0 0 0 10 0M10 14.5V17",
  camera: "M3 6h9v8H3zM12 9l5-2.5v7L12 11z",
  screen: "M3 4h14v9H3zM7 16.5h6M10 13v3.500",
  devices: "M3 6h7M14 6h3M3 14h3M10 14h7M12 4v4M8 12v4",
  details: "M4 16v-3M8 16v-6M12 16V8M16 16V4",
  leave: "M8 4H4v12h4M8 10h9M13.500 6.500L17 10l-3.500 3.500",
} as const;

const STRIKE = "M4 3l12 14";

interface IconProps {
  readonly name: keyof typeof PATHS;
  /** Drawn with a line through it. */
  readonly isOff?: boolean;
}

/** A picture next to a text that says the same. */
export function Icon({ name, isOff = false }: IconProps): JSX.Element {
  return (
    <svg class="call-icon" width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
      <path
        d={isOff ? `${PATHS[name]}${STRIKE}` : PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
