import { wakePage } from "../wake.tsx";
import { Lab } from "./lab.tsx";

wakePage(Lab);
