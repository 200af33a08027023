/** Proves that the lab shows what the end-to-end tests rely on. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exists } from "@std/fs";
import { fromFileUrl } from "@std/path";
import { ADDRESS, Lab } from "./lab/lab.ts";
import { reach, reachUdp } from "./lab/reach.ts";
import { changes, settled } from "./lab/snapshot.ts";
import { labTest, rootTest } from "./lab/suite.ts";

const LAB_URL = import.meta.resolve("./lab/lab.ts");

async function gone(path: string): Promise<void> {
  for (let i = 0; i < 500 && await exists(path); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert(!await exists(path), `${path} is still there`);
}

labTest("ssh passes bytes, strictly and counted", async (lab) => {
  const argv = ["ssh", "root@server", "cat; hostname"];
  assertEquals(
    await lab.client.ok(argv, { stdin: "a byte\n" }),
    "a byte\nserver\n",
  );
  assertEquals(await lab.client.ok(["ssh", "10.77.0.1", "id -u"]), "0\n");
  assertEquals(await lab.logins(), 2);
  await lab.client.writeFile(`${lab.client.home}/.ssh/known_hosts`, "");
  const { code, stderr } = await lab.client.run(["ssh", "root@server", "true"]);
  assertEquals(code, 255);
  assertStringIncludes(stderr, "Host key verification failed");
});

labTest("ssh passes through the jump host", async (lab) => {
  const argv = [
    "ssh",
    "-J",
    "root@jump",
    "root@server",
    "echo $SSH_CONNECTION",
  ];
  assertMatch(await lab.client.ok(argv), /^10\.77\.2\.2 /);
});

labTest(
  "only the server reaches inet, but IPv6 leaks are seen",
  async (lab) => {
    for (const address of [ADDRESS.inet, ADDRESS.public]) {
      assertEquals(await reach(lab.server, address), { from: "10.88.0.1" });
      assert(await reachUdp(lab.server, address));
      assertEquals(await reach(lab.client, address), {
        error: "Connection refused",
      });
      assert(!await reachUdp(lab.client, address, 0.2));
    }
    assertEquals(await reach(lab.client, ADDRESS.public6), {
      from: ADDRESS.client6,
    });
    assertStringIncludes(
      await lab.server.ok(["getent", "ahostsv4", "any.test"]),
      ADDRESS.public,
    );
  },
);

labTest("a tunnel of ssh alone reaches inet", async (lab) => {
  const { client, server } = lab;
  const before = await server.snapshot();
  const ssh = client.spawn([
    ...["ssh", "-w", "0:0", "root@server"],
    "ip addr add 10.9.9.2 peer 10.9.9.1 dev tun0; ip link set tun0 up; echo up; cat",
  ], { stdin: "piped" });
  const output = ssh.stdout.getReader();
  assertEquals((await output.read()).value?.length, 3);
  await client.ok(["ip", "-batch", "-"], {
    stdin: "addr add 10.9.9.1 peer 10.9.9.2 dev tun0\nlink set tun0 up\n" +
      "route add 10.88.0.0/24 dev tun0\n",
  });
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
  assert(await reachUdp(client, ADDRESS.inet));
  ssh.kill("SIGKILL");
  assertEquals((await ssh.status).signal, "SIGKILL");
  await Promise.all([
    output.cancel(),
    ssh.stdin.close().catch(() => {}),
    ssh.stderr.cancel(),
  ]);
  assertEquals(changes(before, await settled(server, before)), []);
});

labTest("sshd can go away and come back", async (lab) => {
  const ssh = lab.client.run(["ssh", "root@server", "echo in; sleep 1000"]);
  while (await lab.logins() < 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await lab.stopSshd();
  assertEquals((await ssh).code, 255);
  const refused = await lab.client.run(["ssh", "root@server", "true"]);
  assertStringIncludes(refused.stderr, "Connection refused");
  await lab.startSshd([
    "ForceCommand echo forced",
    "Match User root",
    "PermitTTY no",
  ]);
  assertEquals(await lab.client.ok(["ssh", "root@server", "true"]), "forced\n");
  assertEquals(await lab.logins(), 2);
  await assertRejects(() => lab.startSshd(["Nonsense yes"]), Error, "Nonsense");
});

labTest("options change the server and the device", async (lab) => {
  const { code } = await lab.client.run([
    "ssh",
    "-oExitOnForwardFailure=yes",
    "-w",
    "any",
    "root@server",
    "true",
  ]);
  assertEquals(code, 255);
  assertEquals(
    await lab.client.ok(["stat", "-c", "%a", "/dev/net/tun"]),
    "666\n",
  );
  await lab.client.ok(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"]);
}, { sshdConfig: ["PermitTunnel no"], jump: false, openTun: true });

rootTest("down leaves nothing", async () => {
  const lab = await Lab.up();
  const { dir } = lab;
  const pids = [lab.client.pid, lab.server.pid, lab.inet.pid, lab.jump.pid];
  const orphan = lab.client.spawn(["setsid", "sleep", "1000"], {
    stdout: "null",
    stderr: "null",
  });
  assert(await exists(`/proc/${pids[0]}`));
  await lab.down();
  assert(!(await orphan.status).success);
  for (const pid of pids) assert(!await exists(`/proc/${pid}`));
  assert(!await exists(dir));
  await lab.down();
});

rootTest("what a killed owner leaves is cleaned", async () => {
  const owner = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { Lab } from "${LAB_URL}"; const lab = await Lab.up();
         await Deno.stdout.write(new TextEncoder().encode(lab.client.pid + " " + lab.dir));
         await new Promise((resolve) => setTimeout(resolve, 100_000));`,
    ],
    cwd: fromFileUrl(new URL("..", import.meta.url)),
    stdout: "piped",
  }).spawn();
  const reader = owner.stdout.pipeThrough(new TextDecoderStream())
    .getReader();
  const [pid, dir] = ((await reader.read()).value ?? "").split(" ");
  await reader.cancel();
  assert(pid && dir && await exists(`${dir}/client`));
  owner.kill("SIGKILL");
  await owner.status;
  await gone(`/proc/${pid}`);
  assert(await exists(dir));
  await using lab = await Lab.up();
  assert(!await exists(dir));
  assert(await exists(lab.dir));
});

rootTest("labs side by side do not meet", async () => {
  await using stack = new AsyncDisposableStack();
  const labs = await Promise.all([Lab.up(), Lab.up()]);
  labs.forEach((lab) => stack.use(lab));
  const [a, b] = labs;
  assertNotEquals(a.dir, b.dir);
  await a.stopSshd();
  assertEquals(
    await b.client.ok(["ssh", "root@server", "hostname"]),
    "server\n",
  );
  assertEquals(await a.logins(), 0);
});
