/** The server's response, or a sentence about what went wrong. */
export type ApiResult<T> =
  | { readonly ok: true; readonly body: T }
  | {
    readonly ok: false;
    /** 0 if the server did not respond. */
    readonly status: number;
    readonly detail: string;
    /** Milliseconds that the server asks to wait before the next request. */
    readonly retryAfterMs: number;
  };

/** Sends a request to the page's server with the session cookie. */
export async function request<T>(
  method: string,
  path: string,
  init: { readonly headers?: HeadersInit; readonly body?: string } = {},
): Promise<ApiResult<T>> {
  try {
    const response = await fetch(path, { method, ...init });
    const text = await response.text();
    const body = text === "" ? undefined : JSON.parse(text);
    if (response.ok) return { ok: true, body };
    const retryAfterMs = 1_000 * Number(response.headers.get("Retry-After") ?? 0);
    return { ok: false, status: response.status, detail: String(body?.detail), retryAfterMs };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return {
      ok: false,
      status: 0,
      detail: `Can't reach the server: ${reason}.`,
      retryAfterMs: 0,
    };
  }
}

/** A channel's figures, as `GET /v1/channels/{channel}` returns them. */
export interface ChannelFigures {
  readonly channel: string;
  readonly created: string;
  readonly changed: string;
  readonly first: string | null;
  readonly last: string;
  readonly events: number;
  readonly bytes: number;
  readonly retention: RetentionFigures;
}

export interface RetentionFigures {
  /** Seconds. */
  readonly age: number;
  readonly events: number;
  readonly bytes: number;
}

export function channelPath(channel: string): string {
  return `/v1/channels/${encodeURIComponent(channel)}`;
}
