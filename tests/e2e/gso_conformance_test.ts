/** `ssh-gso`, held to what all types do. */
import { testPlugin } from "../../testing.ts";

testPlugin("ssh-gso");
