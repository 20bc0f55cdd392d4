/**
 * Returns why something failed, for a message: without the URL of a request, the path of a file and
 * a full stop. The runtime has the reason of a failed request in the cause of its error only.
 */
export function failureReason(failure: unknown): string {
  let cause = failure;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return "unknown";
  return cause.message
    .replace(/^error sending request .*?: client error \(\w+\): /s, "")
    .replace(/ \(os error \d+\)(: \w+ '.*')?$/s, "")
    .replace(/\.$/, "");
}
