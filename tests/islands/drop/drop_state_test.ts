import assert from "node:assert/strict";
import { DropState } from "../../../islands/drop/drop_state.ts";
import type { PersonData } from "../../../islands/drop/people.ts";
import { WeirError } from "../../../lib/client/client.ts";
import { FakePeer, FakeRoom, FakeTransfer } from "../../support/fake_room.ts";

const ANN = { member: "m1", session: "s1" };

function open() {
  const room = new FakeRoom<PersonData>();
  const peer = new FakePeer<PersonData>("s1", "m1", { name: "Ann" });
  room.peers.set([peer]);
  const kept: string[] = [];
  const drop = new DropState({
    join: () => room,
    name: "Calm Otter",
    isNameChosen: false,
    mayRename: true,
    keepName: (name) => kept.push(name),
  });
  return { room, peer, drop, kept, [Symbol.dispose]: () => drop[Symbol.dispose]() };
}

Deno.test("several files go to one person in the mode that was chosen", () => {
  using world = open();
  const { drop, peer } = world;
  drop.mode.value = { mode: "partial", connections: 4 };
  drop.send(peer, [new File(["a"], "a.txt"), new File(["bc"], "b.txt")]);
  const sent = peer.sent.map(({ file, options }) => {
    const { mode, connections } = options ?? {};
    return [(file as File).name, mode, connections];
  });
  assert.deepEqual(sent, [["a.txt", "partial", 4], ["b.txt", "partial", 4]]);
  assert.deepEqual(drop.transfers.value.map(({ transfer, person }) => [transfer.name, person]), [
    ["b.txt", "Ann"],
    ["a.txt", "Ann"],
  ]);
});

Deno.test("the visitor is asked whether a file may go through the server", async () => {
  using world = open();
  const { drop, peer } = world;
  drop.send(peer, [new File(["a"], "a.txt")]);
  const ask = (): Promise<boolean> =>
    Promise.resolve(peer.sent[0]?.options?.throughServer?.({ size: 1, limit: 10 }) ?? false);
  assert.deepEqual(drop.questions, []);
  for (const isAllowed of [true, false]) {
    const answer: Promise<boolean> = ask();
    const question = drop.transfers.value[0]?.question;
    assert.equal(drop.questions.length, 1);
    assert.equal(question?.limit, 10);
    question?.answer(isAllowed);
    assert.equal(await answer, isAllowed);
    assert.deepEqual(drop.questions, []);
  }
  void ask();
  (drop.transfers.value[0]?.transfer as FakeTransfer).set({ status: "cancelled" });
  assert.deepEqual(drop.questions, [], "a transfer that is over needs no answer");
});

Deno.test("a file that cannot be offered says why, and the others are offered", () => {
  using world = open();
  const { drop, peer } = world;
  const sendFile = peer.sendFile.bind(peer);
  peer.sendFile = (file, options) => {
    if (file.size === 0) throw new WeirError("peer_gone", "Ann has left. Ask her to come back.");
    return sendFile(file, options);
  };
  drop.send(peer, [new File([], "empty"), new File(["a"], "a.txt")]);
  assert.equal(drop.problem.value, "Ann has left. Ask her to come back.");
  assert.deepEqual(drop.transfers.value.map(({ transfer }) => transfer.name), ["a.txt"]);
});

Deno.test("an offer waits for an answer, and a received file is deleted when it is removed", () => {
  using world = open();
  const { drop, room } = world;
  const transfer = new FakeTransfer("a.bin", 10, ANN);
  room.offer(transfer);
  const [view] = drop.transfers.value;
  assert.ok(view !== undefined);
  assert.deepEqual(drop.offers, [view]);
  assert.equal(view.person, "Ann");
  transfer.set({ status: "active" });
  assert.deepEqual(drop.offers, []);
  transfer.set({ status: "done", bytes: 10 });
  assert.equal(view.figures.value.state.status, "done");
  drop.remove(view);
  assert.deepEqual(transfer.calls, ["cancel"]);
  assert.deepEqual(drop.transfers.value, []);
});

Deno.test("closing the page would lose what is sent, and what was received and not saved", () => {
  using world = open();
  const { drop, room, peer } = world;
  const incoming = new FakeTransfer("a.bin", 10, ANN);
  room.offer(incoming);
  incoming.set({ status: "active" });
  assert.equal(drop.hasUnsaved, false); // the next page continues it
  incoming.set({ status: "done" });
  assert.equal(drop.hasUnsaved, true);
  drop.transfers.value[0]?.saved();
  assert.equal(drop.hasUnsaved, false);
  drop.send(peer, [new File(["a"], "a.txt")]);
  assert.equal(drop.hasUnsaved, true);
  const [view] = drop.transfers.value;
  assert.ok(view?.transfer instanceof FakeTransfer);
  view.transfer.set({ status: "cancelled" });
  assert.equal(drop.hasUnsaved, false);
});

Deno.test("the others receive a new name, and it is kept", () => {
  using world = open();
  const { drop, room, kept } = world;
  drop.rename("Bob");
  drop.rename("Bob");
  assert.equal(drop.isNameChosen.value, true);
  assert.deepEqual(room.told, [{ name: "Bob" }]);
  assert.deepEqual(kept, ["Bob", "Bob"]);
});

Deno.test("people follow the room and their names, and errors of the room are shown", () => {
  using world = open();
  const { drop, room, peer } = world;
  const names = () => drop.people.value.map(({ name }) => name);
  assert.deepEqual(names(), ["Ann"]);
  peer.data.set({ name: "Anna" });
  assert.deepEqual(names(), ["Anna"]);
  room.peers.set([]);
  assert.deepEqual(names(), []);
  room.fail(new WeirError("no_turn", "Ask for TURN."));
  assert.equal(drop.problem.value, "Ask for TURN.");
});

Deno.test("disposing leaves the room", () => {
  const world = open();
  world[Symbol.dispose]();
  assert.equal(world.room.isClosed, true);
});
