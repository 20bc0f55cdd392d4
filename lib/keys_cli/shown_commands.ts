import { type Config, parseConfig } from "../config.ts";
import { shellQuoted } from "../shared/shell_quoted.ts";
import { ARE_SETTINGS_OPTIONS, START_COMMAND, TASK_COMMAND } from "../shared/task_command.ts";

/** Returns the command that starts a server in the same folder and at the same address. */
export function startCommand({ dataFolder, host, port }: Config): string {
  const here = parseConfig({});
  return withSettings(START_COMMAND, [
    { name: "data", value: dataFolder, isDefault: dataFolder === here.dataFolder },
    { name: "host", value: host, isDefault: host === here.host },
    { name: "port", value: String(port), isDefault: port === here.port },
  ]);
}

/** Returns the command of `keys` for the keys in a data folder. */
export function keysCommand({ dataFolder }: Pick<Config, "dataFolder">): string {
  const isDefault = dataFolder === parseConfig({}).dataFolder;
  const setting = { name: "data", value: dataFolder, isDefault };
  return ARE_SETTINGS_OPTIONS
    ? `${withSettings(TASK_COMMAND, [setting])} keys`
    : withSettings(`${TASK_COMMAND} keys`, [setting]);
}

/** Quotes a word for a shell, if it needs that. */
export function shellQuote(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : shellQuoted(text);
}

interface Setting {
  /** Of the option `--data`, and in capitals of the variable `WEIR_DATA`. */
  readonly name: string;
  readonly value: string;
  readonly isDefault: boolean;
}

function withSettings(command: string, settings: readonly Setting[]): string {
  const words = settings.filter(({ isDefault }) => !isDefault).map(({ name, value }) =>
    ARE_SETTINGS_OPTIONS
      ? `--${name} ${shellQuote(value)}`
      : `WEIR_${name.toUpperCase()}=${shellQuote(value)}`
  );
  return (ARE_SETTINGS_OPTIONS ? [command, ...words] : [...words, command]).join(" ");
}
