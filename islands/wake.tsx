import { type ComponentType, hydrate } from "preact";
import { Session, SESSION_ID } from "./session.tsx";
import { SIGN_IN_ID, SIGN_OUT_ID, SignIn, SignOut } from "./sign_in.tsx";

/** The element that holds a page's island; its `data-props` are the props it was rendered with. */
export const ISLAND_ID = "island";

/** The entry of a page's script: wakes the islands that the server has rendered. */
export function wakePage<P extends object>(Island: ComponentType<P>): void {
  wake(ISLAND_ID, Island);
  wake(SESSION_ID, Session);
  wake(SIGN_IN_ID, SignIn);
  wake(SIGN_OUT_ID, SignOut);
}

function wake<P extends object>(id: string, Island: ComponentType<P>): void {
  const element = document.getElementById(id);
  if (element === null) return;
  const props: P = JSON.parse(element.dataset["props"] ?? "{}");
  hydrate(<Island {...props} />, element);
  element.dataset["awake"] = "";
}
