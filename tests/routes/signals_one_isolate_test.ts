import { ONE_ISOLATE } from "../support/clusters.ts";
import { signalsContract } from "./signals_contract.ts";

signalsContract(ONE_ISOLATE);
