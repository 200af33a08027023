import { suite, typed } from "./helpers.ts";
import { terminalTests } from "./terminal_cases.ts";

terminalTests(typed("ssh-3"), suite({ jump: false }));
