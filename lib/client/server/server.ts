/**
 * For backends: publishes events and signs tokens. It uses only `fetch` and WebCrypto, so it runs in
 * Node, Deno, Bun and edge runtimes.
 */

export type { Published, PublishOptions } from "../api.ts";
export { type ClientCode, WeirError } from "../core/weir_error.ts";
export { mintToken, type SigningKey, type TokenOptions, type TokenRights } from "./mint_token.ts";
export {
  createProducer,
  type Producer,
  type ProducerOptions,
  type Publication,
  type PublishManyOptions,
} from "./producer.ts";
