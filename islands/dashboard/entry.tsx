import { wakePage } from "../wake.tsx";
import { Dashboard } from "./dashboard.tsx";

wakePage(Dashboard);
