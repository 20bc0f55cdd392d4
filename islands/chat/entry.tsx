import { wakePage } from "../wake.tsx";
import { Chat } from "./chat.tsx";

wakePage(Chat);
