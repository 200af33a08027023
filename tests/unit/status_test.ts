import { assertEquals } from "@std/assert";
import { formatList } from "../../lib/status.ts";
import type { TunnelState } from "../../lib/state.ts";
import { NEW } from "./sample_state.ts";

const STATE: TunnelState = {
  ...NEW,
  ...{ host: "root@proxy", routes: ["default"], phase: "up" },
  pair: "10.1.0.1:10.1.0.2",
};

Deno.test("formatList() aligns one line a tunnel, and tells problems below", () => {
  const { pair: _, ...unpaired } = STATE;
  const other: TunnelState = {
    ...unpaired,
    ...{ device: "ppp10", type: "ppp", phase: "reconnecting", routes: [] },
    problem: "the host is not known",
  };
  assertEquals(formatList([STATE, other]).split("\n"), [
    "DEVICE  TYPE   STATE         ADDRESSES          HOST        ROUTES",
    "tun0    ssh-3  up            10.1.0.1:10.1.0.2  root@proxy  default",
    "ppp10   ppp    reconnecting  -                  root@proxy  -",
    "ppp10: the host is not known",
    "",
  ]);
});

Deno.test("formatList() gives each tunnel one line, whatever its texts hold", () => {
  const host = "a\x1b[2J\nb";
  const lines = formatList([{ ...STATE, host, problem: "x\ny\x9b" }]).split(
    "\n",
  );
  assertEquals(lines.length, 4); // the head, the tunnel, its problem, the end
  assertEquals(lines.some((line) => /\p{Cc}/u.test(line)), false);
});
