import { Marked } from "marked";
import { DOC_LIST, docAsset } from "../lib/assets.ts";

const DOCS = new URL("../docs/", import.meta.url);

const ABOUT =
  "Weir keeps every event in a durable log and streams it to subscribers over server-sent events, WebSocket, WebTransport, long or short polls.";

/** Renders each page of docs/ into `folder`, as HTML and as Markdown, and the list of all. */
export async function buildDocs(folder: URL): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const pages = new Map<string, string>();
  for (const path of (await docPaths()).toSorted()) {
    const source = await Deno.readTextFile(new URL(`${path}.md`, DOCS));
    pages.set(path, source);
    await Deno.writeTextFile(new URL(docAsset(path, "html"), folder), renderDoc(path, source));
    await Deno.writeTextFile(new URL(docAsset(path, "md"), folder), servedMarkdown(path, source));
  }
  await Deno.writeTextFile(new URL(DOC_LIST, folder), docList(pages));
}

/** Returns the list of pages in the form of llmstxt.org. @param pages their Markdown by path */
export function docList(pages: ReadonlyMap<string, string>): string {
  const items = [...pages].map(([path, source]) => {
    const [, title = path] = /^# (.+)$/m.exec(source) ?? [];
    return `- [${title}](/docs/${path}.md): ${firstSentence(path, source)}`;
  });
  return `# Weir

> ${ABOUT}

## API

- [OpenAPI](/openapi.json): every route with its parameters, bodies, answers and refusals.
- [AsyncAPI](/asyncapi.json): the messages of WebSockets and the events of streams.

## Docs

${items.join("\n")}
`;
}

function firstSentence(path: string, source: string): string {
  const paragraph = new Marked().lexer(source).find(({ type }) => type === "paragraph");
  const text = servedMarkdown(path, paragraph?.raw ?? "").replaceAll(/\s+/g, " ")
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
  return /^.*?[.:](?= |$)/.exec(text)?.[0].replace(/:$/, ".") ?? text;
}

/**
 * Returns the Markdown of a page of docs/, in which links to files that are not served are plain text.
 *
 * @param path of the page, such as `client`
 */
export function servedMarkdown(path: string, markdown: string): string {
  let isCode = false;
  return markdown.split(/(^```.*$)/m).map((part) => {
    if (part.startsWith("```")) isCode = !isCode;
    return isCode ? part : part.replaceAll(
      /(?<!!)\[([^\]]*)\]\(([^)\s]+)\)/g,
      (link, text: string, href: string) => isServed(path, href) ? link : text,
    );
  }).join("");
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
