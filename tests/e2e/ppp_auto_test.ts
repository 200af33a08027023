/** `-t auto` where both ends have PPP as well. */
import { assertEquals } from "@std/assert";
import { choice, failForAll, up } from "./auto.ts";
import { LAB, sshd, without } from "./failure_cases.ts";
import { assertFails, suite } from "./helpers.ts";

const test = suite(LAB);

test("-t auto takes the fastest of three in one login", async (lab) => {
  const { tunnel, lines } = await up(lab, "ssh-gso", 1);
  await tunnel.stop();
  assertEquals(lines, ["ssh-gso; slower, and not tried: ssh-3, ppp"]);
});

test("-t auto takes ppp from a server that has nothing else, in two logins", async (lab) => {
  const restores = [
    await sshd("PermitTunnel no")(lab),
    await without("server", "perl")(lab),
  ];
  const { tunnel, lines } = await up(lab, "ppp", 2);
  await tunnel.stop();
  for (const restore of restores.reverse()) await restore();
  assertEquals(lines, [
    "not ssh-gso: the server lacks perl",
    "not ssh-3: the server lacks PermitTunnel",
    ...["logging in again, for ppp", "ppp"],
  ]);
});

test("-t auto names each reason of three in one login", async (lab) => {
  const failed = await failForAll(lab);
  assertEquals(choice(failed).length, 3);
  const perl = /ssh-gso: the server lacks perl; /;
  assertFails(failed, 6, perl, /for ppp: type there: apt install ppp/);
});
