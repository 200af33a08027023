import { typed } from "./helpers.ts";
import { cutTest, recoverTest } from "./interrupt_cases.ts";

const ppp = typed("ppp");

cutTest(ppp, ["SIGINT", "SIGKILL"]);
recoverTest(ppp);
