import assert from "node:assert/strict";
import type { Message } from "../../../islands/chat/message.ts";
import { Outgoing, type UnsentStore } from "../../../islands/chat/outgoing.ts";
import type { Published, PublishOptions } from "../../../lib/client/api.ts";
import { WeirError } from "../../../lib/client/core/weir_error.ts";

const hello = { name: "Ann", text: "Hello" };

Deno.test("a message waits until it is stored and disappears when it is in the room", async () => {
  const weir = new Publishes();
  const outgoing = new Outgoing(weir, "chat:lobby", new Kept());
  outgoing.send("1", hello);
  outgoing.send("2", hello);
  assert.deepEqual(statuses(outgoing), ["1 waiting", "2 waiting"]);
  assert.deepEqual(weir.asked, ["chat:lobby 1 chat.message", "chat:lobby 2 chat.message"]);

  await weir.answer();
  assert.deepEqual(statuses(outgoing), ["1 stored", "2 waiting"]);
  outgoing.arrived("1");
  outgoing.arrived("2"); // the room can be faster than the answer
  await weir.answer();
  assert.deepEqual(statuses(outgoing), []);
});

Deno.test("a refused message has a reason and can be retried or discarded", async () => {
  const weir = new Publishes();
  const outgoing = new Outgoing(weir, "chat:lobby", new Kept());
  for (const id of ["1", "2", "3"]) outgoing.send(id, hello);
  await weir.answer(new WeirError("tenant_limit", "There are too many channels."));
  assert.deepEqual(statuses(outgoing), ["1 refused", "2 waiting", "3 waiting"]);
  assert.equal(outgoing.messages.value[0]?.reason, "There are too many channels.");
  outgoing.drop("2"); // it may be stored already
  outgoing.retry("2");

  outgoing.retry("1");
  assert.deepEqual(statuses(outgoing), ["2 waiting", "3 waiting", "1 waiting"]);
  await weir.answer(new WeirError("closed", "The client was closed."));
  outgoing.drop("2");
  assert.deepEqual(statuses(outgoing), ["3 waiting", "1 waiting"]);
  assert.equal(weir.asked.at(-1), "chat:lobby 1 chat.message");
});

Deno.test("messages left unsent are sent by the next page with the same id", async () => {
  const kept = new Kept();
  const left = new Outgoing(new Publishes(), "chat:lobby", kept);
  for (const id of ["1", "2", "3"]) left.send(id, hello);
  left.arrived("2");

  const weir = new Publishes();
  const outgoing = new Outgoing(weir, "chat:lobby", kept);
  assert.deepEqual(weir.asked, ["chat:lobby 1 chat.message", "chat:lobby 3 chat.message"]);
  await weir.answer();
  assert.deepEqual([...kept.keys()], ["3"]);
  await weir.answer(new WeirError("tenant_limit", "There are too many channels."));
  assert.deepEqual([...kept.keys()], ["3"]);
  outgoing.drop("3");
  assert.deepEqual([...kept.keys()], []);
});

function statuses(outgoing: Outgoing): readonly string[] {
  return outgoing.messages.value.map(({ id, status }) => `${id} ${status}`);
}

class Kept extends Map<string, Message> implements UnsentStore {
  all(): ReadonlyMap<string, Message> {
    return new Map(this);
  }

  keep(id: string, message: Message): void {
    this.set(id, message);
  }

  forget(id: string): void {
    this.delete(id);
  }
}

/** A client whose publishes the test answers, oldest first. */
class Publishes {
  readonly asked: string[] = [];
  readonly #waiting: PromiseWithResolvers<Published>[] = [];

  publish(channel: string, _data: unknown, { id, type }: PublishOptions = {}): Promise<Published> {
    this.asked.push(`${channel} ${id} ${type}`);
    const waiting = Promise.withResolvers<Published>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  async answer(refusal?: WeirError): Promise<void> {
    const waiting = this.#waiting.shift();
    if (refusal === undefined) {
      waiting?.resolve({ channel: "", offset: "", id: "", duplicate: false });
    } else waiting?.reject(refusal);
    await waiting?.promise.catch(() => {}); // the publisher learns of it in the same turn
  }
}
