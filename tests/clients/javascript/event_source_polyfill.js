import { EventSourcePolyfill } from "event-source-polyfill";

const url = new URL(location.href).searchParams.get("url");
const source = new EventSourcePolyfill(url);
source.onmessage = ({ data }) => console.log(JSON.parse(data));
