import { PARALLEL } from "../support/clusters.ts";
import { signalsContract } from "./signals_contract.ts";

signalsContract(PARALLEL);
