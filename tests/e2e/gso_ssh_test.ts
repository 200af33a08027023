/** ssh under the pump: its configuration, SSH_ARGS, and what it asks. */
import { suite, typed } from "./helpers.ts";
import { LAB, sshConfigTests } from "./ssh_config_cases.ts";
import { terminalTests } from "./terminal_cases.ts";

const gso = typed("ssh-gso");
const test = suite(LAB);

sshConfigTests(gso, test);
terminalTests(gso, test);
