import { hydratePage } from "../hydrate.tsx";
import { Chat } from "./chat.tsx";

hydratePage(Chat);
