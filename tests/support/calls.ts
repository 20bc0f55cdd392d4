import assert from "node:assert/strict";
import type { ProblemCode } from "../../lib/shared/problem.ts";
import { head, RawConnection } from "./raw_connection.ts";

/** A response with its whole body. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The problem's code, if the request was refused. */
  readonly code: string | undefined;
  readonly detail: string | undefined;
  // deno-lint-ignore no-explicit-any -- tests know the shape
  readonly json: any;
}

export async function call(url: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${url}${path}`, { redirect: "manual", ...init });
  const { status, headers } = response;
  const text = await response.text();
  const json = text !== "" && /json/.test(headers.get("content-type") ?? "")
    ? JSON.parse(text)
    : undefined;
  return { status, headers, text, json, code: json?.code, detail: json?.detail };
}

export function assertRefused(answer: Answer, status: number, code: ProblemCode): void {
  assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
}

/** Does what {@link call} does, with headers that `fetch` forbids, such as `Host`. */
export async function rawCall(
  port: number,
  path: string,
  { method = "GET", headers = {}, body = "" }: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  } = {},
): Promise<Answer> {
  using connection = await RawConnection.open(port);
  const length = body === "" ? {} : { "Content-Length": String(body.length) };
  await connection.write(head(method, path, { ...length, ...headers }) + body);
  const [first = "", ...lines] = (await connection.readUntil("\r\n\r\n")).trim().split("\r\n");
  const fields = lines.map((line): [string, string] => {
    const at = line.indexOf(":");
    return [line.slice(0, at), line.slice(at + 1).trim()];
  });
  const answered = new Headers(fields);
  const bytes = await connection.readBytes(Number(answered.get("content-length") ?? 0));
  const text = new TextDecoder().decode(bytes);
  const json = text.startsWith("{") ? JSON.parse(text) : undefined;
  const status = Number(first.split(" ")[1]);
  return { status, headers: answered, text, json, code: json?.code, detail: json?.detail };
}

/** The headers of a request that opens a WebSocket. */
export const UPGRADE = {
  "Connection": "Upgrade",
  "Upgrade": "websocket",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
} as const;
