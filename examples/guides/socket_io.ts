// deno-lint-ignore-file no-console -- it shows what it receives
import { connect } from "weir-client";

const weir = connect("http://127.0.0.1:8000");

weir.listen<string>("room:7", {
  after: "earliest",
  onEvent: ({ data }) => console.log(data),
  onGap: ({ lost }) => console.log(`${lost ?? "Some"} messages are no longer stored.`),
});
await weir.publish("room:7", "hello");
