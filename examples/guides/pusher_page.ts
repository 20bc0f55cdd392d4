// deno-lint-ignore-file no-console -- it shows what it receives
import { connect } from "weir-client";

const weir = connect("http://127.0.0.1:8000");

weir.listen<{ id: number; total: number }>("orders", {
  after: "earliest",
  onEvent: ({ type, data }) => {
    if (type === "created") console.log(`${data.id}: ${data.total}`);
  },
  onGap: ({ lost }) => console.log(`${lost ?? "Some"} orders are no longer stored.`),
});
