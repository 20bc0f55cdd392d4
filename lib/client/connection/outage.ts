import { unreachableError } from "../core/errors.ts";
import type { Link } from "../core/link.ts";
import type { Platform } from "../core/platform.ts";
import type { ConnectionState } from "../core/state.ts";
import { WeirError } from "../core/weir_error.ts";
import { urlOf } from "./transport.ts";

/** How long there is no connection before that is reported. */
const REPORT_AFTER_MS = 5_000;

interface OutageOptions {
  readonly link: Link;
  readonly base: URL;
  readonly platform: Platform;
  readonly report: (error: WeirError) => unknown;
}

/** The links that are watched. */
const WATCHED = new WeakSet<Link>();

/**
 * Reports once, also on the console, that there has been no connection for 5 s since it failed: the
 * URL may be wrong. On a page of another origin it first asks over HTTP whether the server refuses
 * the page, and closes the link if so: browsers hide that from failed WebSockets and preflights.
 */
export function watchOutages({ link, base, platform, report }: OutageOptions): void {
  if (WATCHED.has(link)) return;
  WATCHED.add(link);
  let timer: unknown;
  let error: WeirError | undefined;
  let isAsked = false;
  let isReported = false;
  const tell = () => {
    const { status } = link.state.value;
    if (error === undefined || (status !== "reconnecting" && status !== "connecting")) return;
    isReported = true;
    report(error);
    // deno-lint-ignore no-console -- developers look there
    console.warn(`Weir keeps trying to connect: ${error.detail}`);
  };
  link.state.subscribe((state: ConnectionState) => {
    switch (state.status) {
      case "reconnecting":
        error = state.error.code === "unreachable" ? noAnswerError(base, state.error) : state.error;
        if (!isReported) timer ??= platform.setTimeout(tell, REPORT_AFTER_MS);
        if (!isAsked) void askReason(base, platform).then((error) => error && link.close(error));
        isAsked = true;
        return;
      case "open":
      case "closed":
        platform.clearTimeout(timer);
        timer = undefined;
    }
  });
}

function noAnswerError({ origin }: URL, cause: WeirError): WeirError {
  return unreachableError(`No answer from ${origin}. Is the URL right, and the server up?`, cause);
}

/** Returns the refusal that a failed WebSocket or preflight does not show. */
async function askReason(base: URL, platform: Platform): Promise<WeirError | undefined> {
  const page = globalThis.location?.origin;
  if (page === undefined || page === base.origin) return undefined;
  try {
    // Without headers that need a preflight.
    const response = await platform.fetch(urlOf(base, "/v1/socket"), { cache: "no-store" });
    const { status } = response;
    const { code, detail } = JSON.parse(await response.text());
    return code === "forbidden_origin"
      ? new WeirError(code, String(detail), { status })
      : undefined;
  } catch {
    return undefined; // no answer, or not from a Weir server: the client keeps trying
  }
}
