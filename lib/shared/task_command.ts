/**
 * How messages name the command of a task, such as `deno task keys`. The npm package `weir-server`
 * has another module in its place, since its commands are `npx weir-server keys` and so on.
 */
export const TASK_COMMAND = "deno task";

/** The command that starts a server. */
export const START_COMMAND = "deno task start";
