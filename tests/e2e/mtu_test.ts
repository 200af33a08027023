import { suite, typed } from "./helpers.ts";
import { mtuTests } from "./mtu_cases.ts";

const test = suite({ jump: false });

mtuTests(typed("ssh-3"), test);
mtuTests(typed("ssh-gso"), test);
