import { faultsTest } from "./faults_cases.ts";

// What is pvpn's own is the same for all types.
faultsTest("ppp", { count: 12, traced: false, labs: 1 });
