import type { Listening, ListenOptions, SubscribeOptions, Subscription } from "../api.ts";
import type { Gap, WeirEvent } from "../core/event.ts";
import { runCallback } from "../core/observable.ts";
import type { WeirError } from "../core/weir_error.ts";
import { EventQueue, type Source } from "./event_queue.ts";

/** @see {@link import("../api.ts").Weir.subscribe} */
export function subscribe<T>(
  source: Source,
  options: SubscribeOptions<T>,
): Subscription<WeirEvent<T> | Gap> {
  const queue = new EventQueue(source, options);
  let isRead = false;
  return {
    get cursor() {
      return queue.cursor;
    },
    close: queue.close,
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("A subscription can be read only once.");
      isRead = true;
      const items = queue.items();
      return {
        next: () => items.next(),
        // A generator would first wait for the item that was asked for.
        return: () => {
          queue.close();
          return items.return();
        },
      };
    },
  };
}

/** @see {@link import("../api.ts").Weir.listen} */
export function listen<T>(source: Source, options: ListenOptions<T>): Listening {
  const { onEvent, onError } = options;
  const queue = new EventQueue(source, options);
  void (async () => {
    try {
      for await (const item of queue.items()) {
        if (item.kind === "event") await runCallback(() => onEvent(item, item.offset));
      }
    } catch (cause) {
      const error = cause as WeirError; // items() throws nothing else
      void runCallback(() => onError?.(error));
    }
  })();
  return {
    get cursor() {
      return queue.cursor;
    },
    close: queue.close,
    [Symbol.dispose]: queue.close,
  };
}
