/**
 * How messages name the command of a task, such as `deno task keys`. The npm package `weir-server`
 * has another module in its place, since its commands are `npx weir-server keys` and so on.
 */
export const TASK_COMMAND = "deno task";

/**
 * Whether the folder, host and port are options of a command, such as `--data x`, or variables before
 * it, such as `WEIR_DATA=x`.
 */
export const ARE_SETTINGS_OPTIONS: boolean = false;

/** The command that starts a server. */
export const START_COMMAND = "deno task start";
