import { suite, typed } from "./helpers.ts";
import { LAB, sshConfigTests } from "./ssh_config_cases.ts";

sshConfigTests(typed("ssh-3"), suite(LAB));
