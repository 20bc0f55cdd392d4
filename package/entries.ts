export const ROOT = new URL("../", import.meta.url);

/** The package's entry points, by the name that they have in the package. */
export const ENTRIES = {
  weir: new URL("lib/client/client.ts", ROOT),
  tabs: new URL("lib/client/tabs/tabs.ts", ROOT),
  rtc: new URL("lib/client/rtc/rtc.ts", ROOT),
} as const;

/** The entry points for frameworks, by the name of the framework's package, which they import. */
export const FRAMEWORKS = {
  react: { entry: new URL("lib/client/frameworks/react.ts", ROOT), versions: ">=18" },
  svelte: { entry: new URL("lib/client/frameworks/svelte.ts", ROOT), versions: ">=5.7" },
  vue: { entry: new URL("lib/client/frameworks/vue.ts", ROOT), versions: ">=3.3" },
} as const;

/** The entry point for backends, which is not for pages: `weir-client/server`. */
export const SERVER_ENTRY = new URL("lib/client/server/server.ts", ROOT);

/** The part of it that pages can use too: `weir-client/producer`. */
export const PRODUCER_ENTRY = new URL("lib/client/server/producer.ts", ROOT);

/** The package that `weir-client/server` signs tokens with, as an optional peer. */
export const SIGNING_PACKAGE = { name: "jose", versions: ">=6" } as const;

/** The entry point for OpenTelemetry: `weir-client/otel`. */
export const OTEL_ENTRY = new URL("lib/client/otel/otel.ts", ROOT);

/** The package whose API it calls, as an optional peer. */
export const OTEL_PACKAGE = { name: "@opentelemetry/api", versions: ">=1.4" } as const;

export function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname);
}
