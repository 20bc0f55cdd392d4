import { LocalServer } from "../support/local_server.ts";
import { type Fixture, readFixture } from "./fixture.ts";

/** A server of this version on the store of a released one. */
export interface OldStore extends AsyncDisposable, Fixture {
  readonly server: LocalServer;
  readonly url: string;
  /** Of the copy of the store. */
  readonly path: string;
}

/** Starts a server on a copy of the store that the release `commit` has written. */
export async function openOldStore(commit: string): Promise<OldStore> {
  await using undo = new AsyncDisposableStack();
  const fixture = await readFixture(commit);
  const folder = await Deno.makeTempDir({ prefix: "weir_old_store_" });
  undo.defer(() => Deno.remove(folder, { recursive: true }));
  const path = `${folder}/weir.db`;
  await Deno.writeFile(path, fixture.store);
  const server = undo.use(await LocalServer.start({ ...fixture.recording.env, WEIR_KV: path }));
  const resources = undo.move();
  return {
    ...fixture,
    server,
    url: server.url,
    path,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
