/** A part of a text: words or a link. */
interface TextPart {
  readonly text: string;
  readonly href?: string;
}

const URL_PATTERN = /https?:\/\/[^\s<>"'`]+/gi;
/** Punctuation that ends a sentence and not a URL. */
const TRAILING = ".,;:!?*_~";

/**
 * Splits a text into words and links to `http:` and `https:` URLs. Joined, the parts are the text.
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

/** Removes punctuation at the end, and closing brackets that were opened before the URL. */
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
