import assert from "node:assert/strict";
import fc from "fast-check";
import { type Cluster, type ClusterKind, clusterTest } from "../support/clusters.ts";
import { callMember, Presence, snapshot } from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { READERS } from "../support/readers.ts";

const MEMBERS = ["ann", "bob", "cyd", "dan"] as const;

interface Change {
  readonly member: typeof MEMBERS[number];
  /** Undefined if the member leaves. */
  readonly data: number | undefined;
  readonly atReader: boolean;
}

const changes = fc.array(
  fc.record({
    member: fc.constantFrom(...MEMBERS),
    data: fc.option(fc.nat(3), { nil: undefined, freq: 2 }),
    atReader: fc.boolean(),
  }, { noNullPrototype: true }),
  { minLength: 8, maxLength: 24 },
);

/** A snapshot and the changes after it always give the current members. */
export function membersContract(kind: ClusterKind) {
  const test = clusterTest(kind);

  for (const transport of Object.keys(READERS)) {
    const behaviour =
      `a snapshot and the changes after it give the current members, over ${transport}`;
    test(behaviour, (cluster) =>
      fc.assert(
        fc.asyncProperty(changes, (changes) => follow(cluster, transport, changes)),
        { numRuns: 5 },
      ));
  }
}

async function follow(
  { publishUrl, readUrl }: Cluster,
  transport: string,
  changes: readonly Change[],
): Promise<void> {
  const open = READERS[transport] ?? assert.fail(`no transport ${transport}`);
  const channel = newChannel();
  // Changes of one member are made in order; different members change at the same time.
  const changing = Promise.all(MEMBERS.map(async (member) => {
    for (const { data, atReader } of changes.filter((change) => change.member === member)) {
      const url = atReader ? readUrl : publishUrl;
      const session = atReader ? "reader" : "publisher";
      const method = data === undefined ? "DELETE" : "PUT";
      const answer = await callMember(url, method, { channel, member, session, data });
      assert.ok(answer.status < 300, answer.text);
    }
  }));
  const seen = new Presence(await snapshot(readUrl, channel));
  await using reader = await open(readUrl, [`$presence:${channel}`], seen.offset);
  await changing;
  const { members, cursor } = await snapshot(publishUrl, channel);
  while (seen.offset < cursor) {
    const { event, gap } = await reader.next();
    if (event === undefined) throw new Error(`a gap: ${JSON.stringify(gap)}`);
    seen.apply(event);
  }
  assert.deepEqual(seen.list, members.toSorted((a, b) => a.member < b.member ? -1 : 1));
}
