import { ONE_ISOLATE } from "../support/clusters.ts";
import { membersContract } from "./members_contract.ts";

membersContract(ONE_ISOLATE);
