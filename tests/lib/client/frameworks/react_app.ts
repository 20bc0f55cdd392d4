// @ts-types="@types/react"
import { createElement as h, lazy, type ReactNode, Suspense, useState } from "react";
import type { Weir } from "weir-client";
import { useChannel, usePresence, usePublish, useWeirState } from "weir-client/react";
import { z } from "zod";

/** Small numbers only, so that a refusal is at hand. */
const Count = z.object({ n: z.number().max(100) });

interface Shared {
  readonly weir: Weir;
  /** Prefix of the channel names. */
  readonly prefix: string;
}

/** An app with every hook, whose parts a test mounts, unmounts and suspends. */
export function App({ weir, prefix }: Shared): ReactNode {
  const [room, setRoom] = useState("a");
  const [isShown, setShown] = useState(true);
  const [isWaiting, setWaiting] = useState(false);
  const { status } = useWeirState(weir);
  const button = (name: string, onClick: () => void) => h("button", { key: name, onClick }, name);
  return h("div", null, [
    h("output", { key: "status" }, status),
    button("toggle", () => setShown(!isShown)),
    button("other room", () => setRoom("b")),
    button("wait", () => setWaiting(true)),
    button("resume", () => resume()),
    h(
      Suspense,
      { key: "rooms", fallback: h("p", null, "waiting") },
      isShown && h(Room, { weir, prefix, room }),
      isWaiting && h(Waiting),
    ),
  ]);
}

function Room({ weir, prefix, room }: Shared & { readonly room: string }): ReactNode {
  const channel = { name: `${prefix}:${room}`, schema: Count };
  const { items, error, hasStarted } = useChannel(weir, channel, { after: "earliest", keep: 5 });
  const publish = usePublish(weir, channel);
  const [color, setColor] = useState("red");
  const { members } = usePresence<string>(weir, channel, { member: "ann", data: color });
  return h("main", null, [
    h("p", { key: "error" }, error?.code ?? (hasStarted ? "reading" : "")),
    h(
      "ul",
      { key: "items" },
      items.map((item) => {
        switch (item.kind) {
          case "gap":
            return h("li", { key: `gap ${item.firstAvailable}` }, "gap");
          case "failed":
            return h(
              "li",
              { key: item.id },
              `${item.data.n} ${item.error.code}`,
              h("button", { onClick: item.dismiss }, "dismiss"),
            );
          default:
            return h("li", { key: item.id }, `${item.data.n} ${item.kind}`);
        }
      }),
    ),
    h("i", { key: "members" }, members.map(({ member, data }) => `${member} ${data}`).join()),
    ...[1, 2, 3, 101].map((n) =>
      h("button", { key: n, onClick: () => void publish({ n }) }, `publish ${n}`)
    ),
    h("button", { key: "blue", onClick: () => setColor("blue") }, "blue"),
  ]);
}

let resume = () => {};

/** Suspends until `resume()`. */
const Waiting = lazy(() =>
  new Promise<{ default: () => ReactNode }>((resolve) => {
    resume = () => resolve({ default: () => h("p", null, "here") });
  })
);
