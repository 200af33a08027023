/** What is not loaded, and why. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ExitCode } from "../../lib/errors.ts";
import { NOBODY, type Place, rootTest, text } from "./plugin_place.ts";

/** How each of these is spoilt, what is said, and what to do. */
const SPOILT: readonly (readonly [
  string,
  (place: Place) => Promise<void>,
  RegExp,
  RegExp?,
])[] = [
  [
    "that is somebody's",
    ({ plugins }) => Deno.chown(`${plugins}/mine.js`, NOBODY, null),
    /mine\.js" belongs to user 65534/,
    /chown root: .*mine\.js/,
  ],
  [
    "that its group can write",
    ({ plugins }) => Deno.chmod(`${plugins}/mine.js`, 0o664),
    /mine\.js" can be written by others .*664/,
    /chmod go-w .*mine\.js/,
  ],
  [
    "that all can write",
    ({ plugins }) => Deno.chmod(`${plugins}/mine.js`, 0o602),
    /mine\.js" can be written by others/,
  ],
  [
    "in somebody's folder",
    ({ plugins }) => Deno.chown(plugins, NOBODY, null),
    /plugins" belongs to user 65534/,
  ],
  [
    "in a folder that others can write",
    ({ plugins }) => Deno.chmod(plugins, 0o775),
    /plugins" can be written by others .*775/,
  ],
  [
    "in a folder where each can write their own, as in /tmp",
    ({ plugins }) => Deno.chmod(plugins, 0o777 | 0o1000),
    /plugins" can be written by others .*1777/,
  ],
  [
    "below somebody's folder",
    ({ plugins }) => Deno.chown(plugins.replace(/\/[^/]*$/, ""), NOBODY, null),
    /pvpn-test-[^/]*" belongs to user 65534/,
  ],
  [
    "that is a link that leads out",
    async ({ plugins, outside, write }) => {
      await Deno.remove(`${plugins}/mine.js`);
      await write(`${outside}/mine.js`);
      await Deno.symlink("../outside/mine.js", `${plugins}/mine.js`);
    },
    /mine\.js" is a link that leads out of its folder, to ".*outside\/mine\.js"/,
    /cp --remove-destination /,
  ],
  [
    "that is a link to a folder's neighbour with a longer name",
    async ({ plugins, write }) => {
      await Deno.mkdir(`${plugins}2`);
      await Deno.remove(`${plugins}/mine.js`);
      await write(`${plugins}2/mine.js`);
      await Deno.symlink(`${plugins}2/mine.js`, `${plugins}/mine.js`);
    },
    /leads out of its folder/,
  ],
  [
    "that is somebody's link",
    async ({ plugins, write }) => {
      await Deno.rename(`${plugins}/mine.js`, `${plugins}/other.js`);
      await write(`${plugins}/other.js`);
      await Deno.symlink("other.js", `${plugins}/mine.js`);
      const lchown = ["-h", `${NOBODY}`, `${plugins}/mine.js`];
      await new Deno.Command("chown", { args: lchown }).output();
    },
    /mine\.js" belongs to user 65534/,
  ],
  [
    "whose folder is a link through somebody's folder",
    async ({ plugins, outside }) => {
      await Deno.mkdir(`${outside}/theirs`);
      await Deno.rename(plugins, `${outside}/real`);
      await Deno.symlink("../real", `${outside}/theirs/link`);
      await Deno.chown(`${outside}/theirs`, NOBODY, null);
      await Deno.symlink(`${outside}/theirs/link`, plugins);
    },
    /theirs" belongs to user 65534/,
  ],
  [
    "that is a folder",
    async ({ plugins }) => {
      await Deno.remove(`${plugins}/mine.js`);
      await Deno.mkdir(`${plugins}/mine.js`);
    },
    /is not a regular file/,
  ],
  [
    "that is no JavaScript",
    ({ plugins, write }) => write(`${plugins}/mine.js`, "export default {"),
    /^cannot use .*mine\.js: .*Unexpected .*$/,
    /JavaScript/,
  ],
  [
    "that throws",
    ({ plugins, write }) =>
      write(`${plugins}/mine.js`, 'throw new Error("no");'),
    /^cannot use .*mine\.js: no$/,
  ],
  [
    "without a tunnel type in it",
    ({ plugins, write }) => write(`${plugins}/mine.js`, "export const a = 1;"),
    /no default export that is a tunnel type/,
    /docs\/plugins\.md/,
  ],
  [
    "of another interface",
    ({ plugins, write }) =>
      write(`${plugins}/mine.js`, text({ version: "99" })),
    /version 99 of the interface, and this is version \d+$/,
  ],
  [
    "that lacks a member",
    ({ plugins, write }) =>
      write(`${plugins}/mine.js`, text({ open: "undefined" })),
    /it has no "open"$/,
  ],
  [
    "of another name",
    ({ plugins, write }) =>
      write(`${plugins}/mine.js`, text({ type: '"ours"' })),
    /its type is "ours", which its file is not named after/,
  ],
];

for (const [what, spoil, why, hint] of SPOILT) {
  rootTest(`a plugin ${what} is refused`, async (place) => {
    await place.write(`${place.plugins}/mine.js`);
    await spoil(place);
    const error = await place.refusal();
    assertEquals(error.code, ExitCode.usage);
    assertMatch(error.message, why);
    assert(error.hints.length > 0 || /regular file/.test(error.message));
    if (hint !== undefined) assertMatch(error.hints.join("\n"), hint);
  });
}
