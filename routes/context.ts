import type { Context } from "hono";
import type { Caller } from "../lib/auth/caller.ts";

/** The types of Weir's Hono context. */
export interface AppEnv {
  /** What `Deno.serve` passes with each request. Edge platforms may pass nothing. */
  Bindings: Partial<Deno.ServeHandlerInfo<Deno.NetAddr>>;
  Variables: {
    /** Set once the request is authenticated, except in open mode. */
    caller?: Caller;
  };
}

export type AppContext = Context<AppEnv>;
