import type { JSX } from "preact";

/** Number of colors, `.is-hue-0` and so on. */
const HUES = 6;

/** Shows the initials of a name in a color derived from the name. */
export function Avatar({ name }: { readonly name: string }): JSX.Element {
  return <span class={`avatar is-hue-${hueOf(name)}`} aria-hidden="true">{initialsOf(name)}</span>;
}

function initialsOf(name: string): string {
  const [first = "", second = ""] = name.split(/[\s._@-]+/).filter((word) => word !== "");
  return [first, second].map((word) => Array.from(word)[0] ?? "").join("").toUpperCase();
}

function hueOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (31 * hash + name.charCodeAt(i)) >>> 0;
  return hash % HUES;
}
