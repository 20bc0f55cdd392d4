import { type ComponentType, hydrate } from "preact";
import { Live, LIVE_ID } from "./live.tsx";
import { SIGN_IN_ID, SIGN_OUT_ID, SignIn, SignOut } from "./sign_in.tsx";

// The entry of the bundle: wakes the islands that the server has rendered.
wake(LIVE_ID, Live);
wake(SIGN_IN_ID, SignIn);
wake(SIGN_OUT_ID, SignOut);

/** The element's `data-props` are the props that the server has rendered it with. */
function wake<P extends object>(id: string, Island: ComponentType<P>): void {
  const element = document.getElementById(id);
  if (element === null) return;
  const props: P = JSON.parse(element.dataset["props"] ?? "{}");
  hydrate(<Island {...props} />, element);
}
