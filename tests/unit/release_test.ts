import { assertEquals } from "@std/assert";
import { isOlder } from "../../lib/release.ts";

Deno.test("isOlder() compares the version within what a program prints", () => {
  const cases: [string, string, boolean | undefined][] = [
    ["OpenSSH_9.2p1 Debian-2", "7.8", false],
    ["OpenSSH_7.8", "7.8", false],
    ["OpenSSH_7.10", "7.8", false],
    ["OpenSSH_7.7p1", "7.8", true],
    ["OpenSSH_10.0p2", "9.9", false],
    ["4.4.302-generic", "4.17", true],
    ["6.18.44", "4.17", false],
    ["dropbear", "7.8", undefined],
    ["", "7.8", undefined],
  ];
  for (const [text, than, older] of cases) {
    assertEquals(isOlder(text, than), older, text);
  }
});
