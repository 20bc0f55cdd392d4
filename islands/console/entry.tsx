import { wakePage } from "../wake.tsx";
import { Console } from "./console.tsx";

wakePage(Console);
