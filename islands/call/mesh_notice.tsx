import type { JSX } from "preact";

/** The largest call that a mesh carries well on usual connections. */
const MESH_SIZE = 6;

/** Explains from a certain size why the call gets worse, and what larger calls need. */
export function MeshNotice({ people }: { readonly people: number }): JSX.Element | null {
  if (people <= MESH_SIZE) return null;
  const others = people - 1;
  return (
    <div class="card problem call-problem" role="status">
      <p>
        <strong>This call is a mesh of {people} people.</strong>{" "}
        Everyone sends sound and pictures to the {others} others, so your upload carries {others}
        {" "}
        copies. Past {MESH_SIZE}{" "}
        people use an SFU (selective forwarding unit): a server that takes one copy and forwards it.
        {" "}
        <a href="/docs/webrtc.md#larger-calls">More about larger calls</a>
      </p>
    </div>
  );
}
