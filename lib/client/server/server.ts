/**
 * For backends: publishes events and signs tokens. It uses only `fetch` and WebCrypto, so it runs in
 * Node, Deno, Bun and edge runtimes.
 */

export * from "./producer.ts";
export { mintToken, type SigningKey, type TokenOptions, type TokenRights } from "./mint_token.ts";
