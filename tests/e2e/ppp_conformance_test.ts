/** `ppp`, held to what all types do. */
import { testPlugin } from "../../testing.ts";

testPlugin("ppp");
