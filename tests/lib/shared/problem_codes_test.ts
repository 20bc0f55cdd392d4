import assert from "node:assert/strict";
import { kindOf, type ProblemCode, PROBLEMS, statusOf } from "../../../lib/shared/problem_codes.ts";

const CODES = Object.keys(PROBLEMS) as ProblemCode[];

Deno.test("docs/protocol.md lists every code under its HTTP status, and no other", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/protocol.md", import.meta.url));
  const [, errors = ""] = page.split(/^## Errors$/m);
  const listed: (readonly [code: string, status: number])[] = [];
  let status: number | undefined;
  // A row or list item begins with its status; codes are in lower case, as no header is.
  for (const [, row, code] of errors.matchAll(/^[|*-][ *`]*(\d{3})\b|`([a-z_]+)`/gm)) {
    if (row !== undefined) status = Number(row);
    else if (code !== undefined && status !== undefined) listed.push([code, status]);
  }
  const byCode = (rows: typeof listed) => rows.toSorted(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(byCode(listed), byCode(CODES.map((code) => [code, statusOf(code)])));
});

Deno.test("a code's kind agrees with its HTTP status", () => {
  for (const code of CODES) {
    const kind = kindOf(code);
    assert.equal(kind === "credential", statusOf(code) === 401, code);
    assert.equal(kind === "storage" || kind === "server", statusOf(code) >= 500, code);
  }
});

Deno.test("refusals of the store, of rates and of a busy server are retryable", () => {
  const retryable = CODES.filter((code) => PROBLEMS[code].retryable);
  assert.deepEqual(retryable.toSorted(), [
    "body_incomplete",
    "commit_unknown",
    "contended",
    "inbox_full",
    "keys_unavailable",
    "overloaded",
    "rate_limited",
    "request_timeout",
    "shutting_down",
    "storage_full",
    "storage_read_only",
    "storage_unavailable",
    "too_many_connections",
  ]);
});
