import { hydratePage } from "../hydrate.tsx";
import { Dashboard } from "./dashboard.tsx";

hydratePage(Dashboard);
