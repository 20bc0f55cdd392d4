/** Returns where the server at `base`, which may have a path, takes events. */
export function publishEndpoint({ origin, pathname }: URL): URL {
  return new URL("v1/events", `${origin}${pathname.replace(/\/?$/, "/")}`);
}
