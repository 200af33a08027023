import { typed } from "./helpers.ts";
import { cutTest, recoverTest } from "./interrupt_cases.ts";

const ssh3 = typed("ssh-3");

cutTest(ssh3, ["SIGINT"]);
cutTest(ssh3, ["SIGTERM"]);
cutTest(ssh3, ["SIGKILL"]);
recoverTest(ssh3);
