import { faultsTest } from "./faults_cases.ts";

// What is pvpn's own is the same for all types.
faultsTest("ppp", { count: 9, traced: false, labs: 1 });
