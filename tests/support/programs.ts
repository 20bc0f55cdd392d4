/**
 * Tells whether a program that tests need is missing or unsuitable. Such tests are then ignored.
 *
 * @param hint what is missing and where to get it.
 * @throws {Error} if it is missing and `CI` is `true`.
 */
export function isMissing(command: readonly string[], hint: string): boolean {
  if (succeeds(command)) return false;
  if (Deno.env.get("CI") === "true") throw new Error(hint);
  // deno-lint-ignore no-console
  console.warn(`${hint}; the tests that need it are ignored.`);
  return true;
}

function succeeds([program = "", ...args]: readonly string[]): boolean {
  try {
    return new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false; // no such program
  }
}
