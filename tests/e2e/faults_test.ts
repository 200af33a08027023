import { faultsTest } from "./faults_cases.ts";

faultsTest("ssh-3", { count: 84 });
faultsTest("ssh-gso", { count: 40 });
