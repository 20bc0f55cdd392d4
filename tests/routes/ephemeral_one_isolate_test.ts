import { ONE_ISOLATE } from "../support/clusters.ts";
import { ephemeralContract } from "./ephemeral_contract.ts";

ephemeralContract(ONE_ISOLATE);
