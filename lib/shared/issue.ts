/** A finding of a schema, as Zod reports it. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Describes the first issue of an error, without the value, which may be a payload. */
export function describeIssue({ issues: [issue] }: { readonly issues: readonly Issue[] }): string {
  if (issue === undefined) return "its form is unknown";
  const where = issue.path.join(".");
  if (where === "") return issue.message;
  return issue.message.endsWith("received undefined")
    ? `${where} is missing`
    : `${where}: ${issue.message}`;
}
