/** What happens to an update of a watch: `late` ones come after the next one. */
export type Fate = "passed" | "lost" | "repeated" | "late";

/**
 * Wraps `kv` so that the updates of its watches, but not the first of each, are lost, repeated or
 * late, as `fates` say in turn. Updates of a watch have no order that a user could rely on.
 */
export function unreliableWatch(kv: Deno.Kv, fates: readonly Fate[]): Deno.Kv {
  let updates = 0;
  return {
    watch: (keys: Deno.KvKey[]) => {
      const late: unknown[] = [];
      let isFirst = true;
      return kv.watch(keys).pipeThrough(
        new TransformStream<unknown, unknown>({
          transform(update, controller) {
            const fate = isFirst ? "passed" : fates[updates++ % fates.length] ?? "passed";
            isFirst = false;
            if (fate === "late") late.push(update);
            else if (fate !== "lost") controller.enqueue(update);
            if (fate === "repeated") controller.enqueue(update);
            if (fate !== "late") { for (const other of late.splice(0)) controller.enqueue(other); }
          },
        }),
      );
    },
  } as Partial<Deno.Kv> as Deno.Kv; // all that a doorbell uses
}
