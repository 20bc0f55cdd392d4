import assert from "node:assert/strict";

/**
 * Opens `count` connections and resets them (RST, not FIN), as a client that gives up at once does.
 * Another process does this while the caller blocks, so that no connection is accepted before.
 */
export function resetConnections(port: number, count: number): void {
  const program = `
    import { connect } from "node:net";
    for (let i = 0; i < ${count}; i++) {
      const socket = connect(${port}, "127.0.0.1", () => socket.resetAndDestroy());
    }`;
  const { success, stderr } = new Deno.Command(Deno.execPath(), { args: ["eval", program] })
    .outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}
