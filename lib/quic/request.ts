import { Http3Error } from "./http3_error.ts";
import type { Field } from "./qpack.ts";

/** What a client asks for, as far as this layer understands it. */
export type Request = ConnectRequest | OtherRequest;

/** A valid extended CONNECT (RFC 9220) for WebTransport. */
export interface ConnectRequest {
  readonly isWebTransport: true;
  /** `:path`, with the query. */
  readonly path: string;
  readonly authority: string;
  readonly origin: string | undefined;
  /** The other fields by name, in lower case. Those that are repeated are joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
}

/** A valid request for something that is not offered here. */
interface OtherRequest {
  readonly isWebTransport: false;
  /** What to answer. */
  readonly status: number;
}

const PSEUDO_FIELDS = [":method", ":scheme", ":authority", ":path", ":protocol"];
/** Fields about a connection of HTTP/1.1 (RFC 9114, section 4.2). */
const CONNECTION_FIELDS = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
];
/** A name in lower case (RFC 9110, section 5.6.2). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** A value without control characters or space around it (RFC 9110, section 5.5). */
// deno-lint-ignore no-control-regex
const VALUE = /^(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*$(?<![ \t])/;
/** A path of a URL, with its query. */
const PATH = /^\/[!-~]*$/;
/** A host and port, without user information. */
const AUTHORITY = /^[^@/?#\s]+$/;

/** Parses the fields of a request. @throws {Http3Error} MESSAGE_ERROR */
export function parseRequest(fields: readonly Field[]): Request {
  const pseudo = new Map<string, string>();
  const headers = new Map<string, string>();
  for (const [name, value] of fields) {
    if (!VALUE.test(value)) throw malformed("a value has characters that are not allowed");
    if (name.startsWith(":")) {
      if (headers.size > 0 || pseudo.has(name) || !PSEUDO_FIELDS.includes(name)) {
        throw malformed("a pseudo-field is repeated, unknown or too late");
      }
      pseudo.set(name, value);
    } else {
      if (!NAME.test(name) || CONNECTION_FIELDS.includes(name)) {
        throw malformed("a field is not allowed");
      }
      const before = headers.get(name);
      headers.set(name, before === undefined ? value : `${before}, ${value}`);
    }
  }
  return requestOf(pseudo, headers);
}

function requestOf(
  pseudo: ReadonlyMap<string, string>,
  headers: Map<string, string>,
): Request {
  const method = pseudo.get(":method");
  const scheme = pseudo.get(":scheme");
  const authority = pseudo.get(":authority");
  const path = pseudo.get(":path");
  const protocol = pseudo.get(":protocol");
  if (method === undefined) throw malformed("it has no method");
  if (method !== "CONNECT" && protocol !== undefined) throw malformed("only CONNECT has :protocol");
  if (method === "CONNECT" && protocol === undefined) {
    if (scheme !== undefined || path !== undefined) {
      throw malformed("CONNECT has no scheme or path");
    }
    return { isWebTransport: false, status: 501 };
  }
  if (scheme === undefined || path === undefined || !PATH.test(path) && path !== "*") {
    throw malformed("it has no scheme or path");
  }
  if (method !== "CONNECT") return { isWebTransport: false, status: 404 };
  if (protocol !== "webtransport" && protocol !== "webtransport-h3") {
    return { isWebTransport: false, status: 501 };
  }
  if (scheme !== "https" || authority === undefined || !AUTHORITY.test(authority)) {
    throw malformed("its scheme is not https, or its authority is not a host");
  }
  const origin = headers.get("origin");
  headers.delete("origin");
  return { isWebTransport: true, path, authority, origin, headers };
}

function malformed(why: string): Http3Error {
  return new Http3Error("MESSAGE_ERROR", `A request is malformed: ${why}`);
}
