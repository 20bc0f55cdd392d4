import { bundleClient } from "./bundle.ts";
import { bundleServer } from "./bundle_server.ts";
import { emitDeclarations } from "./declarations.ts";
import { FRAMEWORKS, OTEL_PACKAGE, ROOT, SIGNING_PACKAGE } from "./entries.ts";
import { emptyFolder, packTarball } from "./tarball.ts";

/**
 * Makes the npm package of the client in `folder`, which is emptied first: readable and minified
 * modules, their types, and the tarball with all of them.
 *
 * @returns the tarball.
 * @throws {Error} if the types are wrong or npm is missing.
 */
export async function packClient(folder: URL): Promise<URL> {
  await emptyFolder(folder);
  await bundleClient(folder);
  await bundleServer(folder);
  for (const [path, text] of emitDeclarations()) {
    const file = new URL(`types/${path}`, folder);
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  const readme = new URL("README.md", import.meta.url);
  return await packTarball(folder, { manifest: await makeManifest(), readme });
}

async function makeManifest(): Promise<Readonly<Record<string, unknown>>> {
  const { version, license } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const types = "./types/client/client.d.ts";
  const tabsTypes = "./types/client/tabs/tabs.d.ts";
  const rtcTypes = "./types/client/rtc/rtc.d.ts";
  const peers = [
    ...Object.entries(FRAMEWORKS).map(([name, { versions }]) => [name, versions]),
    [SIGNING_PACKAGE.name, SIGNING_PACKAGE.versions],
    [OTEL_PACKAGE.name, OTEL_PACKAGE.versions],
  ];
  return {
    name: "weir-client",
    version,
    description: "Client of Weir: durable channels over WebSocket, SSE and polling, exactly once.",
    license,
    type: "module",
    sideEffects: false,
    main: "./weir.js",
    types,
    exports: {
      ".": { types, default: "./weir.js" },
      "./tabs": { types: tabsTypes, default: "./tabs.js" },
      "./rtc": { types: rtcTypes, default: "./rtc.js" },
      ...Object.fromEntries(
        Object.keys(FRAMEWORKS).map((name) => {
          const types = `./types/client/frameworks/${name}.d.ts`;
          return [`./${name}`, { types, default: `./${name}.js` }];
        }),
      ),
      "./server": { types: "./types/client/server/server.d.ts", default: "./server.js" },
      "./producer": { types: "./types/client/server/producer.d.ts", default: "./producer.js" },
      "./otel": { types: "./types/client/otel/otel.d.ts", default: "./otel.js" },
      "./weir.min.js": { types, default: "./weir.min.js" },
      "./tabs.min.js": { types: tabsTypes, default: "./tabs.min.js" },
      "./rtc.min.js": { types: rtcTypes, default: "./rtc.min.js" },
    },
    files: ["*.js", "*.js.map", "types"],
    peerDependencies: Object.fromEntries(peers),
    peerDependenciesMeta: Object.fromEntries(peers.map(([name]) => [name, { optional: true }])),
    engines: { node: ">=20" },
  };
}
