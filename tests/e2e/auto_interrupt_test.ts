/** `-t auto` is cut while it tries one type, and while it tries the next. */
import { without } from "./failure_cases.ts";
import { typed } from "./helpers.ts";
import { cutTest } from "./interrupt_cases.ts";

cutTest(typed("auto"), ["SIGINT", "SIGKILL", "SIGTERM"], {
  prepare: without("server", "perl"),
  every: 7,
});
