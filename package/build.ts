import { packClient } from "./pack.ts";

const tarball = await packClient(new URL("../dist/package/", import.meta.url));
const text = `${decodeURIComponent(tarball.pathname)}\n`;
await Deno.stdout.write(new TextEncoder().encode(text));
