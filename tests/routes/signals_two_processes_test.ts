import { TWO_PROCESSES } from "../support/clusters.ts";
import { signalsContract } from "./signals_contract.ts";

signalsContract(TWO_PROCESSES);
