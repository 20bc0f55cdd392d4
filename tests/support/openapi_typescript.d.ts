/** The part of `openapi-typescript` that tests use. Its own types change those of the platform. */
type Ast = unknown;
export default function openapiTS(description: string): Promise<Ast>;
export function astToString(ast: Ast): string;
