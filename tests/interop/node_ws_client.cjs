// Node's `ws` library as a client of an echo server.
// usage: NODE_PATH=/usr/share/nodejs node node_ws_client.cjs path-of-the-server [option of it...]
"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const WebSocket = require("ws");

const TIMEOUT = 30_000;  // ms, bounds a test that hangs; time decides no verdict
const executable = path.resolve(process.argv[2] ?? "");
const server_options = process.argv.slice(3);
const tests = [];
const test = (name, run) => tests.push({ name, run });

function bounded(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${TIMEOUT} ms: ${what}`)), TIMEOUT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts the server on a free port: { url, stderr(), terminate(), exited } */
async function start_server() {
  const stdio = ["ignore", "pipe", "pipe"];
  const child = spawn(executable, ["--port", "0", "--quiet", ...server_options], { stdio });
  process.once("exit", () => child.exitCode ?? child.kill("SIGKILL"));
  let stdout = "", stderr = "";
  child.stderr.on("data", text => { stderr += text; });
  const exited = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const ready = new Promise((resolve, reject) => {
    child.stdout.on("data", text => {
      stdout += text;
      if (stdout.includes("\n")) resolve(stdout.split("\n")[0]);
    });
    exited.then(
      end => reject(new Error(`the server ended early: ${JSON.stringify(end)} ${stderr}`)), reject);
  });
  const line = await bounded(ready, "the line that says the server listens");
  const [all, name, port] = /^(\S+) listening on http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line) ?? [];
  assert.equal(name, path.basename(executable), `the first line was ${line}`);
  return {
    url: `ws://127.0.0.1:${port}/`, exited, stderr: () => stderr,
    terminate: () => child.kill("SIGTERM"),
  };
}

/** A client with its messages, pongs and close in queues that can be awaited in order. */
class Client {
  constructor(url, ...options) {
    this.socket = new WebSocket(url, ...options);
    this.events = [];
    this.wake = () => {};
    const tell = event => { this.events.push(event); this.wake(); };
    this.socket.on("open", () => tell(["open"]));
    this.socket.on("message", (data, is_binary) =>
      tell(is_binary ? ["binary", data] : ["text", data.toString()]));
    this.socket.on("pong", data => tell(["pong", data.toString("latin1")]));
    this.socket.on("error", error => tell(["error", error.message]));
    this.socket.on("close", (code, reason) => tell(["close", code, reason.toString()]));
  }

  async next() {
    while (!this.events.length) await new Promise(resolve => { this.wake = resolve; });
    return this.events.shift();
  }

  async expect(...expected) {
    const event = await this.next();
    assert.equal(event[0], expected[0], `expected ${expected[0]}, got ${event.slice(0, 2)}`);
    if (expected[0] === "binary")
      assert.ok(event[1].equals(expected[1]), "the echo is not what was sent");
    else
      assert.deepEqual(event.slice(0, expected.length), expected);
  }
}

let server;

async function connect(...options) {
  const client = new Client(server.url, ...options);
  await client.expect("open");
  return client;
}

async function leave(client, code = 1000) {
  client.socket.close(code, "done");
  await client.expect("close", code);
}

const pattern = size => Buffer.alloc(size, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));

test("text", async () => {
  const client = await connect();
  for (const text of ["hello", "", "0", "Grüße, 你好, \u{1f44b}", "a\0b", "x".repeat(70000)]) {
    client.socket.send(text);
    await client.expect("text", text);
  }
  await leave(client);
});

test("binary", async () => {
  const client = await connect();
  for (const size of [0, 1, 125, 126, 127, 256, 65535, 65536, 1 << 20]) {
    client.socket.send(pattern(size));
    await client.expect("binary", pattern(size));
  }
  await leave(client);
});

test("text of 1 MiB", async () => {
  const client = await connect();
  const text = "ä€\u{1f600}".repeat((1 << 20) / 9 | 0);
  client.socket.send(text);
  await client.expect("text", text);
  await leave(client);
});

test("fragments", async () => {
  const client = await connect();
  client.socket.send("one ", { fin: false });
  client.socket.send("", { fin: false });
  client.socket.send("message", { fin: true });
  await client.expect("text", "one message");
  const parts = Array.from({ length: 40 }, (_, i) => pattern(i * 1000));
  parts.forEach((part, i) =>
    client.socket.send(part, { binary: true, fin: i === parts.length - 1 }));
  await client.expect("binary", Buffer.concat(parts));
  await leave(client);
});

test("ping between fragments", async () => {
  const client = await connect();
  client.socket.send("before ", { fin: false });
  client.socket.ping("between");
  await client.expect("pong", "between");
  client.socket.send("after");
  await client.expect("text", "before after");
  await leave(client);
});

test("ping and pong", async () => {
  const client = await connect();
  for (const payload of ["", "payload", "p".repeat(125)]) {
    client.socket.ping(payload);
    await client.expect("pong", payload);
  }
  client.socket.pong("nobody asked");
  client.socket.send("hello");
  await client.expect("text", "hello");
  await leave(client);
});

for (const code of [1000, 1001, 1003, 1011, 3000, 4999])
  test(`close ${code}`, async () => leave(await connect(), code));

test("close without code", async () => {
  const client = await connect();
  client.socket.close();
  const [kind, code] = await client.next();
  assert.equal(kind, "close");
  assert.ok(code === 1005 || code === 1000, `code ${code}`);  // ws tells an empty Close as 1005
});

test("many messages", async () => {
  const client = await connect();
  for (let i = 0; i < 5000; i++) client.socket.send(i % 2 ? `message ${i}` : pattern(i % 300));
  for (let i = 0; i < 5000; i++)
    await client.expect(...(i % 2 ? ["text", `message ${i}`] : ["binary", pattern(i % 300)]));
  await leave(client);
});

// As it is by every client here, for what is not short.
test("compression offered", async () => {
  const client = await connect({ perMessageDeflate: { threshold: 0 } });
  const accepted = server_options.some(option => option.startsWith("--deflate"));
  assert.equal(client.socket.extensions, accepted ? "permessage-deflate" : "");
  const text = "again and ".repeat(10000);
  client.socket.send(text);
  await client.expect("text", text);
  await leave(client);
});

test("subprotocol", async () => {
  const client = await connect(["second", "first"]);
  assert.equal(client.socket.protocol, "second");
  await leave(client);
});

test("what was said before close is answered", async () => {
  const client = await connect();
  for (let i = 0; i < 100; i++) client.socket.send(`${i}`);
  client.socket.close(1000);
  for (let i = 0; i < 100; i++) await client.expect("text", `${i}`);
  await client.expect("close", 1000);
});

test("terminated clients leave the server alive", async () => {
  for (let i = 0; i < 20; i++) {
    const client = await connect();
    client.socket.send(pattern(1 << 20));
    client.socket.send("unfinished", { fin: false });
    client.socket.terminate();
    await client.expect("close", 1006);
  }
  const client = await connect();
  client.socket.send("still there");
  await client.expect("text", "still there");
  await leave(client);
});

test("50 connections at once", async () => {
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect()));
  clients.forEach((client, i) => client.socket.send(`client ${i}`));
  await Promise.all(clients.map((client, i) => client.expect("text", `client ${i}`)));
  await Promise.all(clients.map(client => leave(client)));
});

// The last one: it ends the server.
test("SIGTERM is 1001 for every client and exit code 0", async () => {
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect()));
  server.terminate();
  await Promise.all(clients.map(client => client.expect("close", 1001)));
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  assert.doesNotMatch(server.stderr(), /Sanitizer|runtime error:/);
});

(async () => {
  let passed = 0, failed = 0;
  server = await start_server();
  for (const { name, run } of tests) {
    try {
      await bounded(run(), name);
      passed++;
    } catch (error) {
      failed++;
      console.error(`FAIL: ${name}\n${error.stack}`);
    }
  }
  if (failed) console.error(`the server's stderr:\n${server.stderr()}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
})().catch(error => {
  console.error(error.stack);
  console.log("0 passed, 1 failed");
  process.exit(1);
});
