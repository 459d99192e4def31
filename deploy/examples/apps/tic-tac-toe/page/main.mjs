// The board as buttons. The server plays and counts; this shows what it says.
// Addresses are relative: the page may lie below any path.

const at = (id) => document.getElementById(id);
const MARKS = { X: ["M18 18L82 82", "M82 18L18 82"], O: ["M50 12a38 38 0 1 0 .01 0"] };
const SAID = { win: "You won!", loss: "You lost.", draw: "A draw." };
const KEPT = "match"; // the running match, so that a reload goes on with it

let match = null;
let busy = false;

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let response, answer;
  try {
    response = await fetch(`api/${path}`, { signal: AbortSignal.timeout(10_000), ...options });
    answer = await response.json();
  } catch {
    throw Object.assign(new Error("The server does not answer. Try again."), { status: 0 });
  }
  if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status });
  return answer;
}

// One question at a time; what goes wrong is said on the page, and the board stays as it was.
async function attempt(action) {
  if (busy) return;
  busy = true;
  try {
    match = await action();
    sessionStorage.setItem(KEPT, match.id);
    at("notice").textContent = "";
  } catch (error) {
    at("notice").textContent = error.message;
    // The server has forgotten the match, as after a restart without its memory.
    if (error.status === 404) at("say").textContent = "Choose an opponent to begin a new match.";
  }
  busy = false;
  show();
}

function sign(mark) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `${mark.toLowerCase()} ${mark === match.you ? "yours" : "theirs"}`);
  for (const stroke of MARKS[mark]) {
    const path = svg.appendChild(document.createElementNS(space, "path"));
    path.setAttribute("d", stroke);
    path.setAttribute("pathLength", "1");
  }
  return svg;
}

function showCell(cell, place) {
  const mark = match.board[place];
  if ((cell.dataset.mark ?? "") !== (mark ?? "")) {
    cell.dataset.mark = mark ?? "";
    cell.replaceChildren(...(mark ? [sign(mark)] : []));
  }
  const who = mark && (mark === match.you ? "yours" : "the opponent's");
  const where = `row ${Math.floor(place / 3) + 1}, column ${(place % 3) + 1}`;
  cell.setAttribute("aria-label", `${where}: ${mark ? `${mark}, ${who}` : "free"}`);
  // Still focusable, so that the arrows lead everywhere.
  cell.setAttribute("aria-disabled", Boolean(mark || match.outcome));
  cell.classList.toggle("line", match.line?.includes(place) ?? false);
}

// What is written, and what is only heard: where the opponent went can be seen.
function say() {
  const { last, outcome, tally } = match;
  if (outcome) return [SAID[outcome] + (match.record ? ` New best: ${tally.unbeaten} unbeaten.` : ""), ""];
  const theirs = last !== null && match.board[last] !== match.you;
  const where = theirs ? ` The opponent took row ${Math.floor(last / 3) + 1}, column ${(last % 3) + 1}.` : "";
  return [`Your turn: you are ${match.you}.`, where];
}

function show() {
  if (!match) return;
  [...at("board").children].forEach(showCell);
  at("board").dataset.outcome = match.outcome ?? "";
  for (const name of ["wins", "draws", "losses", "unbeaten"]) at(name).textContent = match.tally[name];
  at("best").textContent = match.best || "–";
  at("next").disabled = !match.outcome;
  at("levels").querySelector(`[value=${match.level}]`).checked = true;
  const [seen, textContent] = say();
  at("say").replaceChildren(seen, Object.assign(document.createElement("span"), { className: "heard", textContent }));
}

const create = (level) => attempt(() => ask("matches", { level }));
const next = () => match?.outcome && attempt(() => ask(`matches/${match.id}/rounds`, {}));
const move = (cell) => match && !match.outcome && !match.board[cell] && attempt(() => ask(`matches/${match.id}/moves`, { cell }));

for (let place = 0; place < 9; place++) {
  const cell = at("board").appendChild(document.createElement("button"));
  Object.assign(cell, { type: "button", className: "cell", tabIndex: place === 4 ? 0 : -1 });
  cell.addEventListener("click", () => move(place));
  cell.addEventListener("focus", () => [...at("board").children].forEach((one) => (one.tabIndex = one === cell ? 0 : -1)));
}

function walk(event) {
  const cells = [...at("board").children];
  const place = cells.indexOf(document.activeElement);
  const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.code];
  if (!way || document.activeElement.matches("input")) return false;
  if (place < 0) return cells.find((one) => one.tabIndex === 0).focus() ?? true;
  const clamp = (value) => Math.min(2, Math.max(0, value));
  cells[3 * clamp(Math.floor(place / 3) + way[0]) + clamp((place % 3) + way[1])].focus();
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (walk(event)) event.preventDefault();
  else if (event.repeat) return;
  else if (/^(Digit|Numpad)[1-9]$/.test(event.code)) move(event.code.at(-1) - 1);
  else if (event.code === "KeyN") next();
});
at("levels").addEventListener("change", (event) => create(event.target.value));
at("next").addEventListener("click", next);

const kept = sessionStorage.getItem(KEPT);
await attempt(async () => {
  try {
    if (kept) return await ask(`matches/${kept}`);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  return ask("matches", { level: "medium" });
});
