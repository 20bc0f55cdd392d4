import { isAssetName, readAsset } from "../lib/assets.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";

export const getAssetDescription: RouteDescription = {
  id: "getAsset",
  tag: "Pages",
  summary: "Get a file that a page loads",
  needsCredential: false,
  path: {
    file: { text: "The file's name.", schema: { type: "string" }, example: "console.js" },
  },
  headers: ["If-None-Match"],
  answers: {
    200: {
      text: "The file.",
      other: {
        "text/javascript": "A script.",
        "text/css": "A style sheet.",
        "image/svg+xml": "An icon.",
      },
      headers: ["ETag"],
    },
    304: { text: "The file has not changed.", headers: ["ETag"] },
  },
  problems: ["not_found"],
};

/** `GET /assets/{file}`: answers with a file that a page loads; browsers revalidate it by its ETag. */
export async function getAsset(c: AppContext): Promise<Response> {
  const name = c.req.param("file") ?? "";
  const asset = isAssetName(name) ? await readAsset(name) : undefined;
  if (asset === undefined) {
    throw new Problem("not_found", `No resource ${quote(c.req.path)}.`);
  }
  const headers = {
    "Cache-Control": "no-cache",
    "Content-Type": asset.contentType,
    "Cross-Origin-Resource-Policy": "same-origin",
    "ETag": asset.etag,
    "X-Content-Type-Options": "nosniff",
  };
  const known = c.req.raw.headers.get("if-none-match")?.split(",").map((tag) => tag.trim()) ?? [];
  if (known.includes(asset.etag)) return new Response(null, { status: 304, headers });
  return new Response(asset.bytes, { headers });
}
