/** The built-in types that need no other kernel, held to what all types do. */
import { testPlugin } from "../../testing.ts";

testPlugin("ssh-3");
