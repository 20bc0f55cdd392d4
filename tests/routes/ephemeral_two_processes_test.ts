import { TWO_PROCESSES } from "../support/clusters.ts";
import { ephemeralContract } from "./ephemeral_contract.ts";

ephemeralContract(TWO_PROCESSES);
