type LogLevel = "info" | "warn" | "error";

/** The fields of a log line. They never hold a token, a header or a payload. */
type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes structured log lines. */
export interface Logger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

interface LoggerOptions {
  /** Whether lines are for a person at a terminal, instead of one JSON object each. */
  readonly isPretty: boolean;
  readonly write: (line: string) => void;
  readonly now?: () => number;
}

export function createLogger({ isPretty, write, now = Date.now }: LoggerOptions): Logger {
  const line = (level: LogLevel) => (message: string, fields: LogFields = {}) => {
    const time = new Date(now()).toISOString();
    write(
      isPretty
        ? `${time.slice(11, 23)} ${level.padEnd(5)} ${message}${prettyFields(fields)}`
        : JSON.stringify({ time, level, message, ...fields }),
    );
  };
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** Returns the log fields of an error: its name, its message and where it was thrown. */
export function errorFields(cause: unknown): LogFields {
  if (!(cause instanceof Error)) return { error: typeof cause };
  const at = cause.stack?.split("\n").find((line) => line.trimStart().startsWith("at "))?.trim();
  const root = cause.cause instanceof Error ? cause.cause.message : undefined;
  return { error: cause.name, detail: cause.message, cause: root, at };
}

/**
 * Logs uncaught errors, which still end the process. The runtime's own log does not show them,
 * because the start task turns it off.
 */
export function logUncaught(logger: Logger): void {
  const log = (cause: unknown) => logger.error("uncaught error", errorFields(cause));
  globalThis.addEventListener("error", ({ error }) => log(error));
  globalThis.addEventListener("unhandledrejection", ({ reason }) => log(reason));
}

function prettyFields(fields: LogFields): string {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return entries.map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join("");
}
