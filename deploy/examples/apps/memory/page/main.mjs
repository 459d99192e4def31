// Cards as buttons, and the clock: what a player does becomes flips of the rules.
import { cover, deal, flip, isWon } from "./rules.mjs";
import { PICTURES, picture } from "./pictures.mjs";
import { loadBest, saveScore } from "./scores.mjs";

const at = (id) => document.getElementById(id);
const SHOWN = 1100; // ms that two different cards stay open

let game;
let best = {};
let begun = null; // ms, at the first flip
let took = null; // seconds, once all are found
let covering = 0; // the timer that turns two cards back

const seconds = () => took ?? (begun === null ? 0 : (performance.now() - begun) / 1000);
const clock = (all) => `${Math.floor(all / 60)}:${String(Math.floor(all % 60)).padStart(2, "0")}`;
const buttons = () => [...at("cards").children];
const columns = () => getComputedStyle(at("cards")).gridTemplateColumns.split(" ").length;

function show() {
  at("moves").textContent = game.moves;
  at("time").textContent = clock(seconds());
  const record = best[game.board];
  at("best").textContent = record ? record.moves : "–";
  at("best").parentElement.title = record ? `${record.moves} moves in ${record.seconds} s` : "";
  const across = columns();
  buttons().forEach((card, place) => {
    const found = game.found.includes(place);
    const up = found || game.open.includes(place);
    const name = PICTURES[game.cards[place]].name;
    card.dataset.side = up ? "up" : "down";
    card.classList.toggle("found", found);
    card.classList.toggle("miss", game.open.length === 2 && up && !found);
    // A card that was never turned has no picture in the page.
    const face = card.querySelector(".face");
    if (up && !face.firstChild) face.append(picture(game.cards[place]));
    const where = `row ${Math.floor(place / across) + 1}, column ${(place % across) + 1}`;
    card.setAttribute("aria-label", `${up ? name : "covered"}${found ? ", found" : ""}, ${where}`);
  });
}

function card(place) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  button.tabIndex = place === 0 ? 0 : -1;
  button.style.animationDelay = `${place * 20}ms`;
  const sides = button.appendChild(document.createElement("span"));
  for (const name of ["back", "face"]) sides.appendChild(document.createElement("span")).className = name;
  button.addEventListener("click", () => turnOver(place));
  button.addEventListener("focus", () => buttons().forEach((other) => (other.tabIndex = other === button ? 0 : -1)));
  return button;
}

function start(board, focus = false) {
  clearTimeout(covering);
  game = deal(board);
  begun = took = null;
  document.querySelector("main").dataset.board = board;
  at("boards").querySelector(`[value=${board}]`).checked = true;
  at("curtain").hidden = true;
  at("cards").inert = false;
  at("cards").replaceChildren(...game.cards.map((_, place) => card(place)));
  at("heard").textContent = `${game.cards.length} cards, all covered`;
  show();
  if (focus) buttons()[0].focus();
}

function turnOver(place) {
  const before = game;
  game = flip(game, place);
  if (game === before) return;
  begun ??= performance.now();
  clearTimeout(covering);
  const name = PICTURES[game.cards[place]].name;
  if (game.open.length === 2) {
    const [first] = game.open;
    at("heard").textContent = `${PICTURES[game.cards[first]].name} and ${name}: no pair`;
    covering = setTimeout(() => {
      game = cover(game);
      show();
    }, SHOWN);
  } else if (game.found.length > before.found.length) {
    at("heard").textContent = `${name}: a pair, ${game.found.length / 2} of ${game.cards.length / 2}`;
  } else {
    at("heard").textContent = name;
  }
  if (isWon(game)) won();
  show();
}

async function won() {
  took = seconds();
  const played = game;
  const told = `All pairs in ${game.moves} moves and ${clock(took)}.`;
  at("title").textContent = "Well done!";
  at("told").textContent = at("heard").textContent = told;
  at("curtain").hidden = false;
  at("cards").inert = true;
  at("again").focus({ preventScroll: true });
  const answer = await saveScore({ board: game.board, moves: game.moves, seconds: Math.max(0.1, took) });
  at("notice").textContent = answer.problem ?? "";
  if (answer.problem) return;
  best[played.board] = answer.best;
  if (played === game) {
    at("title").textContent = answer.record ? "New best!" : "Well done!";
    at("told").textContent = answer.record ? told : `${told} The best: ${answer.best.moves} moves in ${answer.best.seconds} s.`;
    at("heard").textContent = `${at("title").textContent} ${at("told").textContent}`;
  }
  show();
}

at("cards").addEventListener("keydown", (event) => {
  const all = buttons();
  const place = all.indexOf(event.target);
  const across = columns();
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.code];
  const to = event.code === "Home" ? 0 : event.code === "End" ? all.length - 1 : step && place + step;
  if (to === undefined || place < 0) return;
  event.preventDefault();
  all[to]?.focus();
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.code === "KeyN") start(game.board, true);
  // The first arrow goes to the cards, wherever one is on the page.
  else if (event.code.startsWith("Arrow") && document.activeElement === document.body) {
    event.preventDefault();
    buttons().find((other) => other.tabIndex === 0).focus();
  }
});
at("boards").addEventListener("change", (event) => start(event.target.value));
at("deal").addEventListener("click", () => start(game.board));
at("again").addEventListener("click", () => start(game.board, true));
// Rows and columns change places when a phone is turned.
addEventListener("resize", show);
setInterval(() => (at("time").textContent = clock(seconds())), 250);

start("medium");
loadBest().then((answer) => {
  at("notice").textContent = answer.problem ?? "";
  best = answer.problem ? {} : answer;
  show();
});
