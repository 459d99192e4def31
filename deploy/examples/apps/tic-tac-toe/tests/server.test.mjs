import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { SERVER, Served } from "./served.mjs";

const served = new Served();
before(() => served.start());
after(async () => {
  const ended = await served.stop();
  await served.remove();
  assert.deepEqual(ended, [0, ""]);
});

test("health answers", async () => {
  const { status, body } = await served.ask("GET", "/health");
  assert.deepEqual([status, body], [200, { status: "healthy", app: "tic-tac-toe" }]);
});

test("the page and all it names are served, and nothing else", async () => {
  const page = await fetch(`${served.url}/?from=a-link`);
  const text = await page.text();
  assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  assert.match(page.headers.get("content-security-policy"), /default-src 'self'/);
  for (const name of ["style.css", "main.mjs", "icon.svg"]) {
    assert.ok(text.includes(`"${name}"`), name);
    assert.equal((await fetch(`${served.url}/${name}`)).status, 200, name);
  }
  const head = await fetch(`${served.url}/`, { method: "HEAD" });
  assert.deepEqual([head.headers.get("content-length"), await head.text()], [String(Buffer.byteLength(text)), ""]);
  for (const path of ["/server.mjs", "/page/index.html", "/%2e%2e/rules.mjs", "//etc/passwd", "/package.json"]) {
    const { status, body } = await served.ask("GET", path);
    assert.equal(status, 404, path);
    assert.match(body.detail, /use \/, \/health, \/api\/scores or \/api\/matches$/);
  }
});

test("a wrong method names the right ones", async () => {
  for (const [method, path, allow] of [["DELETE", "/api/matches/x", "GET, HEAD"], ["GET", "/api/matches", "POST"], ["POST", "/", "GET, HEAD"]]) {
    const { status, headers, body } = await served.ask(method, path);
    assert.deepEqual([status, headers.get("allow"), body.field, body.value], [405, allow, "method", method]);
  }
});

test("bodies that cannot be are refused by field, value and way out", async () => {
  const json = { "Content-Type": "application/json" };
  for (const [text, headers, status, said] of [
    ["level=easy", { "Content-Type": "application/x-www-form-urlencoded" }, 415, /^Content-Type: .* send application\/json$/],
    ["{", json, 400, /^body: "\{" is not JSON/],
    ["", json, 400, /^body: "" is not JSON/],
    ["[1]", json, 422, /^body: \[1\] is no object/],
    ["null", json, 422, /^body: null is no object/],
    [" ".repeat(5000), json, 413, /^Content-Length: 5000 is too much; send at most 1024 bytes$/],
    ['{"level": "brutal"}', json, 422, /^level: "brutal" is no level; use easy, medium, perfect$/],
    ['{"level": ["easy"]}', json, 422, /^level: \["easy"\] is no level/],
    ['{"level": "easy", "cheat": 1}', json, 422, /^cheat: 1 is not known; send only level$/],
    ['{"constructor": 1}', json, 422, /^constructor: 1 is not known/],
    ["{}", json, 422, /^level: nothing is no level/],
  ]) {
    const { status: got, body } = await served.ask("POST", "/api/matches", text, headers);
    assert.equal(got, status, text.slice(0, 40));
    assert.match(body.detail, said);
    assert.ok(body.detail.startsWith(`${body.field}: `));
  }
  const chunked = { method: "POST", body: new Blob(["{}"]).stream(), duplex: "half", headers: json };
  assert.equal((await fetch(`${served.url}/api/matches`, chunked)).status, 411);
  assert.equal((await served.ask("POST", "/api/matches/none/moves", { cell: 0 })).status, 404);
});

test("what is not HTTP gets a plain answer", { timeout: 20_000 }, async () => {
  const socket = connect(new URL(served.url).port, "127.0.0.1");
  socket.end("nonsense\r\n\r\n");
  let answer = "";
  socket.on("data", (text) => (answer += text));
  await once(socket, "close");
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(JSON.parse(answer.split("\r\n\r\n")[1]).detail, /^request: cannot be read/);
});

// Takes the first free cell until the round is over.
async function round(server, match) {
  while (!match.outcome) {
    ({ body: match } = await server.ask("POST", `/api/matches/${match.id}/moves`, { cell: match.board.indexOf(null) }));
  }
  return match;
}

test("a match is played over HTTP, and its best run stays over a restart", { timeout: 60_000 }, async () => {
  const server = await new Served().start();
  try {
    const made = await server.ask("POST", "/api/matches", { level: "easy" });
    assert.deepEqual([made.status, made.body.level, made.body.tally.wins], [201, "easy", 0]);
    let match = await round(server, made.body);
    for (let played = 1; match.best === 0; played++) {
      assert.ok(played < 50, "fifty rounds lost against chance");
      ({ body: match } = await server.ask("POST", `/api/matches/${match.id}/rounds`, {}));
      match = await round(server, match);
    }
    assert.deepEqual((await server.ask("GET", `/api/matches/${match.id}`)).body, match);
    const best = { easy: match.best, medium: 0, perfect: 0 };
    assert.deepEqual((await server.ask("GET", "/api/scores")).body, best);
    assert.deepEqual(await server.stop(), [0, ""]);
    await server.start();
    assert.deepEqual((await server.ask("GET", "/api/scores")).body, best);
    assert.equal((await server.ask("GET", `/api/matches/${match.id}`)).status, 404);
  } finally {
    await server.remove();
  }
});

test("a broken file of scores is moved aside and play goes on", async () => {
  for (const content of ["no json", '{"easy": -1}', '{"easy": "3"}', "null"]) {
    const server = new Served();
    writeFileSync(server.scores, content);
    await server.start();
    try {
      assert.deepEqual((await server.ask("GET", "/api/scores")).body, { easy: 0, medium: 0, perfect: 0 });
      assert.equal(readFileSync(`${server.scores}.broken`, "utf8"), content);
    } finally {
      await server.remove();
    }
  }
});

test("a port that is none, or taken, says so", () => {
  const start = (port) => {
    const env = { ...process.env, HOST: "127.0.0.1", PORT: port };
    const { status, stderr } = spawnSync(process.execPath, [SERVER], { env, encoding: "utf8", timeout: 20_000 });
    return [status, stderr.trim()];
  };
  for (const port of ["", "web", "-1", "65536"]) {
    assert.deepEqual(start(port), [1, `PORT: ${JSON.stringify(port)} is no port; set a number from 1 to 65535, or 0 for any free one`]);
  }
  const [status, said] = start(new URL(served.url).port);
  assert.equal(status, 1);
  assert.match(said, /^PORT: cannot listen on 127\.0\.0\.1:\d+ \(.+\); set another PORT or HOST$/);
});
