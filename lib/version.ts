import config from "../deno.json" with { type: "json" };

/** The version of Weir. */
export const VERSION: string = config.version;
