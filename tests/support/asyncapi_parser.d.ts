/** The part of `@asyncapi/parser` that tests use. Its own types change those of the platform. */
export class Parser {
  parse(text: string): Promise<{
    readonly document: { version(): string } | undefined;
    /** A severity of 0 is an error. */
    readonly diagnostics: readonly { readonly severity: number; readonly message: string }[];
  }>;
}
