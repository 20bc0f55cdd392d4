import { TWO_PROCESSES } from "../support/clusters.ts";
import { membersContract } from "./members_contract.ts";

membersContract(TWO_PROCESSES);
