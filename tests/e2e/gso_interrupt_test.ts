import { typed } from "./helpers.ts";
import { cutTest, recoverTest } from "./interrupt_cases.ts";

const gso = typed("ssh-gso");

cutTest(gso, ["SIGINT", "SIGTERM"]);
cutTest(gso, ["SIGKILL"]);
recoverTest(gso);
