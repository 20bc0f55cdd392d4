import { hydratePage } from "../hydrate.tsx";
import { Console } from "./console.tsx";

hydratePage(Console);
