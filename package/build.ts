// `deno task package`: makes the npm packages of the client and of the server.
import { packClient } from "./pack.ts";
import { packServer } from "./server/pack.ts";

const DIST = new URL("../dist/", import.meta.url);

const client = await packClient(new URL("package/", DIST));
const server = await packServer(new URL("server_package/", DIST));
for (const tarball of [client, server]) {
  // Both in one folder, so that the docs can name them alike.
  const path = new URL(`package/${tarball.pathname.split("/").at(-1)}`, DIST);
  if (path.href !== tarball.href) await Deno.rename(tarball, path);
  await Deno.stdout.write(new TextEncoder().encode(`${decodeURIComponent(path.pathname)}\n`));
}
