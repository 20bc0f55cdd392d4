import { ONE_ISOLATE } from "../support/clusters.ts";
import { serverContract } from "./server_contract.ts";

serverContract(ONE_ISOLATE);
