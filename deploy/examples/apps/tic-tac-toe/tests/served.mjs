// Starts the server beside these tests on a free port, and asks it things.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const SERVER = fileURLToPath(new URL("../server.mjs", import.meta.url));

/** A running server with a folder of its own for scores. */
export class Served {
  folder = mkdtempSync(join(tmpdir(), "tic-tac-toe-"));
  scores = join(this.folder, "scores.json");

  async start(environment = {}) {
    const env = { ...process.env, HOST: "127.0.0.1", PORT: "0", SCORES_FILE: this.scores, ...environment };
    this.process = spawn(process.execPath, [SERVER], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.complaints = "";
    this.process.stderr.on("data", (text) => (this.complaints += text));
    this.ended = once(this.process, "close");
    const line = await Promise.race([once(createInterface(this.process.stdout), "line"), this.ended]);
    this.url = /http:\/\/127\.0\.0\.1:\d+$/.exec(line[0])?.[0];
    if (!this.url) throw new Error(`it did not start: ${line} ${this.complaints}`);
    return this;
  }

  /** Asks it to end, and gives its exit code and what it wrote to its error stream. */
  async stop() {
    this.process.kill("SIGTERM");
    const [code] = await this.ended;
    return [code, this.complaints];
  }

  /** Ends it, and removes its folder. */
  async remove() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** Status, headers and JSON of one answer; a body that is text goes as it is. */
  async ask(method, path, body, headers = { "Content-Type": "application/json" }) {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(this.url + path, { method, body: text, headers: text === undefined ? {} : headers });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }
}
