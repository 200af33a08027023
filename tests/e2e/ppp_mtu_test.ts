import { suite, typed } from "./helpers.ts";
import { mtuTests } from "./mtu_cases.ts";

mtuTests(typed("ppp"), suite({ jump: false }));
