import { type ComponentType, hydrate } from "preact";
import { SIGN_IN_NOTICE_ID, SignInNotice } from "./sign_in_notice.tsx";
import { SIGN_IN_ID, SIGN_OUT_ID, SignIn, SignOut } from "./sign_in.tsx";

/** The id of the element that contains a page's island. Its `data-props` are the island's props. */
export const ISLAND_ID = "island";

/** Hydrates the islands that the server has rendered. Each page's script calls it. */
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
