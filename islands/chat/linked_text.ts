/** A part of a text: words, or an address that can be followed. */
export interface TextPart {
  readonly text: string;
  readonly href?: string;
}

const URL_PATTERN = /https?:\/\/[^\s<>"'`]+/gi;
/** What ends a sentence rather than an address. */
const TRAILING = ".,;:!?*_~";

/**
 * The text in parts, which together are the text again: `http:` and `https:` addresses are links,
 * and nothing else is.
 */
export function linkedText(text: string): readonly TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(URL_PATTERN)) {
    const address = withoutClosing(match);
    const href = hrefOf(address);
    if (href === undefined) continue;
    if (index > end) parts.push({ text: text.slice(end, index) });
    parts.push({ text: address, href });
    end = index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** Without punctuation at its end, and without a bracket that was opened in front of it. */
function withoutClosing(match: string): string {
  let open = match.replaceAll(/[^([]/g, "").length - match.replaceAll(/[^)\]]/g, "").length;
  let end = match.length;
  for (; end > 0; end--) {
    const last = match.charAt(end - 1);
    if (last === ")" || last === "]") {
      if (open >= 0) break;
      open++;
    } else if (!TRAILING.includes(last)) break;
  }
  return match.slice(0, end);
}

function hrefOf(address: string): string | undefined {
  const url = URL.parse(address);
  return url?.protocol === "http:" || url?.protocol === "https:" ? url.href : undefined;
}
