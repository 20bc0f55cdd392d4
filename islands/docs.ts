import { Marked } from "marked";
import { docAsset } from "../lib/assets.ts";

const DOCS = new URL("../docs/", import.meta.url);

/** Renders each page of docs/ into `folder`. */
export async function buildDocs(folder: URL): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const path of await docPaths()) {
    const html = renderDoc(path, await Deno.readTextFile(new URL(`${path}.md`, DOCS)));
    await Deno.writeTextFile(new URL(docAsset(path), folder), html);
  }
}

/** Returns the paths of all pages below docs/, such as `client`, without `.md`. */
export async function docPaths(folder = ""): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, DOCS))) {
    if (isDirectory) paths.push(...await docPaths(`${folder}${name}/`));
    else if (name.endsWith(".md")) paths.push(`${folder}${name.slice(0, -".md".length)}`);
  }
  return paths;
}

/**
 * Renders the Markdown of a page of docs/. Links to files that are no such pages become plain text.
 *
 * @param path of the page, such as `client`
 */
export function renderDoc(path: string, markdown: string): string {
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const content = this.parser.parseInline(tokens);
        return `<h${depth} id="${anchorOf(text)}">${content}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const content = this.parser.parseInline(tokens);
        return isServed(path, href) ? `<a href="${href}">${content}</a>` : content;
      },
      code({ text }) {
        return `<pre tabindex="0"><code>${escaped(text)}</code></pre>\n`;
      },
    },
  });
  const html = marked.parse(markdown, { async: false });
  // Wide tables scroll, also by keyboard.
  return html.replaceAll("<table>", `<table tabindex="0">`);
}

function isServed(path: string, href: string): boolean {
  const { protocol, pathname } = new URL(href, `weir:///docs/${path}.md`);
  return protocol !== "weir:" || /^\/docs\/.+\.md$/.test(pathname);
}

/** Returns the anchor of a heading, as GitHub has it. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\w\s-]/g, "").trim().replaceAll(/\s/g, "-");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
