import { faultsTest } from "./faults_cases.ts";

faultsTest("ssh-3", { count: 72 });
faultsTest("ssh-gso", { count: 24 });
