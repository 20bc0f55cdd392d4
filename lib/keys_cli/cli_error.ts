/** What a command can't do, in a sentence for who called it. */
export class CliError extends Error {
  override readonly name: string = "CliError";
}

/** A command was not called as it is to be called. */
export class UsageError extends CliError {
  override readonly name = "UsageError";
}
