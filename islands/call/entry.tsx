import { hydratePage } from "../hydrate.tsx";
import { Call } from "./call.tsx";

hydratePage(Call);
