import { createProducer } from "weir-client/server";

const weir = createProducer("http://127.0.0.1:8000");
await weir.publish("orders", { id: 7, total: 40 }, { type: "created" });
