// Serves tic-tac-toe: its page, its health, its matches and its best scores. No packages; the game is in matches.mjs.
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Matches, Refused } from "./matches.mjs";
import { Scores } from "./scores.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml" };
// Read once: only what is in here can be asked for, whatever a path says.
const PAGE = new Map(
  readdirSync(here("page"))
    .filter((name) => extname(name) in TYPES)
    .map((name) => [`/${name}`, { kind: TYPES[extname(name)], body: readFileSync(here(`page/${name}`)) }]),
);
PAGE.set("/", PAGE.get("/index.html"));
const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};
const LARGEST_BODY = 1024;

const matches = new Matches(new Scores(process.env.SCORES_FILE || here("scores.json")));

/** What is served besides the page's files: method, path, what is done with the path's id and the body; its fields. */
const ROUTES = [
  ["GET", /^\/health$/, () => [200, { status: "healthy", app: "tic-tac-toe" }]],
  ["GET", /^\/api\/scores$/, () => [200, matches.scores.best()]],
  ["POST", /^\/api\/matches$/, (_, body) => [201, matches.create(body)], ["level"]],
  ["GET", /^\/api\/matches\/([^/]+)$/, (id) => [200, matches.show(id)]],
  ["POST", /^\/api\/matches\/([^/]+)\/moves$/, (id, body) => [200, matches.move(id, body)], ["cell"]],
  ["POST", /^\/api\/matches\/([^/]+)\/rounds$/, (id) => [200, matches.next(id)], []],
];

function send(request, response, status, content, { kind = "application/json", ...headers } = {}) {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const about = { "Content-Type": `${kind}; charset=utf-8`, "Content-Length": body.length };
  response.writeHead(status, { ...HEADERS, ...about, ...headers });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** The request's JSON, always an object with no other fields than these. */
async function bodyOf(request, fields) {
  const kind = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  // Also what keeps other sites' forms out: a browser asks before it sends this type elsewhere.
  if (kind !== "application/json") throw new Refused(415, "Content-Type", kind, "is not taken; send application/json");
  const { "content-length": length = "0", "transfer-encoding": coding } = request.headers;
  if (coding) throw new Refused(411, "Transfer-Encoding", coding, "is not taken; send the body's Content-Length");
  if (Number(length) > LARGEST_BODY) {
    throw new Refused(413, "Content-Length", Number(length), `is too much; send at most ${LARGEST_BODY} bytes`);
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refused(400, "body", text, 'is not JSON; send an object such as {"level": "medium"}');
  }
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  if (!isObject) throw new Refused(422, "body", body, 'is no object; send one such as {"level": "medium"}');
  const unknown = Object.keys(body).find((field) => !fields.includes(field));
  if (unknown !== undefined) {
    throw new Refused(422, unknown.slice(0, 80), body[unknown], `is not known; send ${fields.length ? `only ${fields}` : "{}"}`);
  }
  return body;
}

async function route(request, response) {
  const path = request.url.split("?", 1)[0];
  const method = request.method === "HEAD" ? "GET" : request.method;
  const known = ROUTES.filter(([, pattern]) => pattern.test(path));
  const page = PAGE.get(path);
  if (!page && known.length === 0) {
    throw new Refused(404, "path", path, "is not here; use /, /health, /api/scores or /api/matches");
  }
  const found = known.find(([of]) => of === method);
  if (!found && !(page && method === "GET")) {
    const allowed = (page ? ["GET"] : known.map(([of]) => of)).flatMap((of) => (of === "GET" ? ["GET", "HEAD"] : [of]));
    response.setHeader("Allow", allowed.join(", "));
    throw new Refused(405, "method", request.method, `is not for ${path.slice(0, 80)}; use ${allowed.join(" or ")}`);
  }
  if (page) return send(request, response, 200, page.body, { kind: page.kind });
  const [, pattern, act, fields] = found;
  const body = method === "POST" ? await bodyOf(request, fields) : null;
  const [status, content] = act(pattern.exec(path)[1], body);
  return send(request, response, status, content);
}

const server = createServer({ requestTimeout: 15_000, headersTimeout: 15_000 }, (request, response) => {
  if (request.url !== "/health") {
    response.on("finish", () => console.log(`${request.method} ${JSON.stringify(request.url)} ${response.statusCode}`));
  }
  route(request, response).catch((error) => {
    if (request.destroyed && !request.complete) return; // it has gone: there is nobody to tell
    if (error instanceof Refused) {
      const { status, field, value, message: detail } = error;
      // What is left of the body must not be read as the next request.
      const headers = request.complete ? {} : { Connection: "close" };
      send(request, response, status, { detail, field, value }, headers);
    } else {
      console.error(error);
      send(request, response, 500, { detail: "server: failed; its log says why" }, { Connection: "close" });
    }
  });
});

// What is not even HTTP.
server.on("clientError", (error, socket) => {
  if (!socket.writable) return;
  const body = JSON.stringify({ detail: `request: cannot be read (${error.code}); see the README for what is served` });
  const headers = ["Content-Type: application/json", `Content-Length: ${body.length}`, "Connection: close"];
  socket.end(["HTTP/1.1 400 Bad Request", ...headers, "", body].join("\r\n"));
});

const { PORT: port = "5000", HOST: host = "127.0.0.1" } = process.env;
if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
  console.error(`PORT: ${JSON.stringify(port)} is no port; set a number from 1 to 65535, or 0 for any free one`);
  process.exit(1);
}
server.once("error", (error) => {
  console.error(`PORT: cannot listen on ${host}:${port} (${error.message}); set another PORT or HOST`);
  process.exit(1);
});
for (const ending of ["SIGTERM", "SIGINT"]) process.on(ending, () => process.exit(0));
server.listen(Number(port), host, () => console.log(`tic-tac-toe: http://${host}:${server.address().port}`));
