import { PARALLEL } from "../support/clusters.ts";
import { ephemeralContract } from "./ephemeral_contract.ts";

ephemeralContract(PARALLEL);
