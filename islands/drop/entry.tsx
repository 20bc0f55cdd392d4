import { hydratePage } from "../hydrate.tsx";
import { Drop } from "./drop.tsx";

hydratePage(Drop);
