import { unreachable } from "./refusal.ts";

/**
 * The rest of the client, which is loaded when it is first asked for.
 *
 * @throws {WeirError} `unreachable`
 */
export async function later(): Promise<typeof import("./rest.ts")> {
  try {
    return await import("./rest.ts");
  } catch (cause) {
    throw unreachable(
      "The rest of the client can't be loaded.",
      cause,
    );
  }
}
