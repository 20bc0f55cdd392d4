import { hydratePage } from "../hydrate.tsx";
import { Lab } from "./lab.tsx";

hydratePage(Lab);
