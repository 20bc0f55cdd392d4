import { type ComponentType, hydrate } from "preact";
import { SIGN_IN_NOTICE_ID, SignInNotice } from "./sign_in_notice.tsx";
import { SIGN_IN_ID, SIGN_OUT_ID, SignIn, SignOut } from "./sign_in.tsx";

/** The element that holds a page's island; its `data-props` are the props it was rendered with. */
export const ISLAND_ID = "island";

/** The entry of a page's script: wakes the islands that the server has rendered. */
export function hydratePage<P extends object>(Island: ComponentType<P>): void {
  hydrateIsland(ISLAND_ID, Island);
  hydrateIsland(SIGN_IN_NOTICE_ID, SignInNotice);
  hydrateIsland(SIGN_IN_ID, SignIn);
  hydrateIsland(SIGN_OUT_ID, SignOut);
}

function hydrateIsland<P extends object>(id: string, Island: ComponentType<P>): void {
  const element = document.getElementById(id);
  if (element === null) return;
  const props: P = JSON.parse(element.dataset["props"] ?? "{}");
  hydrate(<Island {...props} />, element);
  element.dataset["hydrated"] = "";
}
