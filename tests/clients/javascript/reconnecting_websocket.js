import ReconnectingWebSocket from "reconnecting-websocket";

const url = new URL(location.href).searchParams.get("url");
let after = "latest";
const socket = new ReconnectingWebSocket(url);
socket.onopen = () => {
  socket.send(JSON.stringify({ op: "subscribe", ref: 1, channel: "numbers", after }));
};
socket.onmessage = ({ data: frame }) => {
  const { op, offset, data } = JSON.parse(frame);
  after = offset ?? after;
  if (op === "event") console.log(data);
};
