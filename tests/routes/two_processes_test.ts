import { TWO_PROCESSES } from "../support/clusters.ts";
import { serverContract } from "./server_contract.ts";

serverContract(TWO_PROCESSES);
