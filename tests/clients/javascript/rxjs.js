import { repeat, retry } from "rxjs";
import { webSocket } from "rxjs/webSocket";

const url = new URL(location.href).searchParams.get("url");
let after = "latest";
const socket = webSocket({
  url,
  openObserver: {
    next: () => socket.next({ op: "subscribe", ref: 1, channel: "numbers", after }),
  },
});
socket.pipe(retry({ delay: 1_000 }), repeat({ delay: 1_000 })).subscribe(({ op, offset, data }) => {
  after = offset ?? after;
  if (op === "event") console.log(data);
});
