// deno-lint-ignore-file no-console -- it shows what it receives
import { connect } from "weir-client";

const weir = connect("http://127.0.0.1:8000");

const { events, cursor } = await weir.history<string>("room:7", { limit: 50 });
for (const { data } of events) console.log(data);
weir.listen<string>("room:7", {
  after: cursor,
  onEvent: ({ data }) => console.log(data),
  onGap: () => location.reload(),
});

const room = weir.presence<{ mood: string }>("room:7");
room.members.subscribe((members) => console.log(members.map(({ member }) => member).join()));
await room.enter({ mood: "fine" }, { member: "ann" });
await weir.publish("room:7", "hello");
