import { PARALLEL } from "../support/clusters.ts";
import { serverContract } from "./server_contract.ts";

serverContract(PARALLEL);
