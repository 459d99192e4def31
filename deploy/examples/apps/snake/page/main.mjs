// Keys, fingers and the clock: what a player does becomes turns and steps of the rules.
import { LEVELS, newGame, step, turn } from "./rules.mjs";
import { painter } from "./draw.mjs";
import { loadBest, saveScore } from "./scores.mjs";

const at = (id) => document.getElementById(id);
const paint = painter(at("field"));
const still = matchMedia("(prefers-reduced-motion: reduce)");
const KEYS = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right",
  KeyW: "up", KeyS: "down", KeyA: "left", KeyD: "right",
};
const ENDS = { wall: "You ran into the wall.", self: "You bit yourself.", full: "The whole field is yours!" };
const SWIPE = 22; // CSS pixels

let game = newGame();
let state = "ready"; // or playing, paused, over
let level = "normal";
let best = {};
let stepped = 0; // when the last step was made, ms

function show() {
  at("apples").textContent = game.apples;
  at("best").textContent = best[level]?.apples ?? "–";
  at("curtain").hidden = state === "playing";
  at("levels").disabled = state === "playing";
  at("pause").disabled = state !== "playing" && state !== "paused";
  at("pause").setAttribute("aria-pressed", state === "paused");
  at("pause").textContent = state === "paused" ? "Resume" : "Pause";
}

function curtain(title, told, button) {
  at("title").textContent = title;
  at("told").textContent = told;
  at("go").textContent = button;
}

function play() {
  if (state === "ready" || state === "over") game = newGame();
  // After a pause the step in hand begins anew: nobody dies by resuming.
  stepped = performance.now();
  state = "playing";
  at("heard").textContent = "Playing";
  at("go").blur(); // it is hidden now
  show();
  requestAnimationFrame(frame);
}

function pause() {
  if (state !== "playing") return;
  state = "paused";
  curtain("Paused", "Take your time.", "Resume");
  at("heard").textContent = "Paused";
  show();
}

async function over() {
  state = "over";
  const apples = game.apples === 1 ? "1 apple" : `${game.apples} apples`;
  curtain(game.end === "full" ? "You won!" : "Game over", `${ENDS[game.end]} ${apples}.`, "Play again");
  at("heard").textContent = `${at("title").textContent}. ${at("told").textContent}`;
  show();
  const played = { level, apples: game.apples };
  const answer = await saveScore(played);
  at("notice").textContent = answer.problem ?? "";
  if (answer.problem) return;
  best[played.level] = answer.best;
  if (answer.record && state === "over") {
    curtain("New best!", `${ENDS[game.end]} ${apples}.`, "Play again");
    at("heard").textContent = `New best: ${apples}`;
  }
  show();
}

function frame(now) {
  if (state !== "playing") return;
  const length = 1000 / LEVELS[level];
  // A page that stood still for long goes on from here, and does not make up for it.
  if (now - stepped > 3 * length) stepped = now - length;
  while (now - stepped >= length && !game.end) {
    stepped += length;
    const before = game.apples;
    game = step(game);
    if (game.apples > before) {
      at("heard").textContent = `${game.apples}`;
      show();
    }
  }
  paint(game, still.matches || game.end ? 1 : Math.max(0, (now - stepped) / length));
  if (game.end) over();
  else requestAnimationFrame(frame);
}

function steer(way) {
  if (state === "ready" || state === "over") play();
  if (state === "playing") game = turn(game, way);
}

function setLevel(name) {
  at("levels").querySelector(`[value=${name}]`).checked = true;
  if (name === level) return;
  level = name;
  // A score belongs to one speed from its first step to its last.
  if (state !== "ready") {
    state = "ready";
    game = newGame();
    curtain("Ready?", "A new speed is a new game.", "Play");
    paint(null);
  }
  show();
}

const toggle = () => (state === "playing" ? pause() : play());

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const radio = event.target.matches?.("input[type=radio]");
  const button = event.target.closest?.("button");
  const way = KEYS[event.code];
  if (way && !(radio && state !== "playing")) {
    event.preventDefault();
    if (!event.repeat) steer(way);
  } else if ((event.code === "Space" && !button && !radio) || event.code === "KeyP") {
    event.preventDefault();
    if (!event.repeat) toggle();
  } else if (event.code === "Enter" && !button && state !== "playing") {
    event.preventDefault();
    play();
  } else if (/^(Digit|Numpad)[123]$/.test(event.code) && state !== "playing") {
    setLevel(Object.keys(LEVELS)[event.code.at(-1) - 1]);
  }
});

let finger = null;
at("board").addEventListener("pointerdown", (event) => {
  if (event.target.closest("button")) return;
  finger = { x: event.clientX, y: event.clientY, swiped: false };
  at("board").setPointerCapture(event.pointerId);
});
at("board").addEventListener("pointermove", (event) => {
  if (!finger) return;
  const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
  if (Math.max(Math.abs(dx), Math.abs(dy)) < SWIPE) return;
  steer(Math.abs(dx) > Math.abs(dy) ? (dx > 0 ? "right" : "left") : dy > 0 ? "down" : "up");
  // The finger may stay down and turn again.
  finger = { x: event.clientX, y: event.clientY, swiped: true };
});
at("board").addEventListener("pointerup", () => {
  if (finger && !finger.swiped) toggle();
  finger = null;
});
at("board").addEventListener("pointercancel", () => (finger = null));

for (const button of document.querySelectorAll("[data-turn]")) {
  // A pressed button takes no focus: the space bar stays what pauses.
  button.addEventListener("mousedown", (event) => event.preventDefault());
  // On touch, not on release: a game does not wait for a finger to leave.
  button.addEventListener("pointerdown", () => steer(button.dataset.turn));
  button.addEventListener("click", (event) => event.detail === 0 && steer(button.dataset.turn));
}
at("go").addEventListener("click", play);
at("pause").addEventListener("click", toggle);
at("levels").addEventListener("change", (event) => setLevel(event.target.value));
// Who clicked a speed wants the arrows for the snake; who came there by keys needs them to choose.
at("levels").addEventListener("click", (event) => event.detail > 0 && event.target.blur());
document.addEventListener("visibilitychange", () => document.hidden && pause());
addEventListener("blur", pause);
const repaint = () => paint(state === "ready" ? null : game, 1);
new ResizeObserver(() => state !== "playing" && repaint()).observe(at("field"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

show();
loadBest().then((answer) => {
  at("notice").textContent = answer.problem ?? "";
  best = answer.problem ? {} : answer;
  show();
});
