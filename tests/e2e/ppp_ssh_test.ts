/** ssh under pppd: its configuration, SSH_ARGS, and what it asks. */
import { suite, typed } from "./helpers.ts";
import { LAB, sshConfigTests } from "./ssh_config_cases.ts";
import { terminalTests } from "./terminal_cases.ts";

const ppp = typed("ppp");
const test = suite(LAB);

// The way to ssh is the same for all types, but for how it is called, and what
// its processes look like; the machine for these is slow.
const CASES =
  /^(?:all of these|a running|LocalForward on a busy|User,|ProxyJump: beside default|SSH_ARGS|ssh over IPv6 to fd77)/;

sshConfigTests(ppp, test, CASES);
terminalTests(ppp, test);
