import { hydrate } from "preact";
import { Live, LIVE_ID, type LiveProps } from "./live.tsx";

// The entry of the bundle: wakes the island that the server has rendered.
const element = document.getElementById(LIVE_ID);
if (element !== null) {
  const props: LiveProps = JSON.parse(element.dataset["props"] ?? "");
  hydrate(<Live {...props} />, element);
}
