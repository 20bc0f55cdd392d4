import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
source.onmessage = ({ data }) => console.log(JSON.parse(data));
setInterval(() => {}, 60_000); // its wait for a reconnect does not keep the process alive
