/** A command failed. Its message is a sentence for the user. */
export class CliError extends Error {
  override readonly name: string = "CliError";
}

/** A command was called with wrong arguments. */
export class UsageError extends CliError {
  override readonly name = "UsageError";
}
