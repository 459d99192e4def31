// Draws a game on a canvas, in the colours of the style sheet.
import { SIZE } from "./rules.mjs";

const NAMES = ["cell-b", "snake-head", "snake-tail", "eye", "pupil", "apple", "leaf", "dead"];
const FACING = { right: 0, down: Math.PI / 2, left: Math.PI, up: -Math.PI / 2 };

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const between = (a, b, share) => ({ x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share });
const middle = ({ x, y }) => [x + 0.5, y + 0.5];

function disc(pen, x, y, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function drawApple(pen, colour, apple) {
  const [x, y] = middle(apple);
  disc(pen, x, y + 0.05, 0.34, colour.apple);
  pen.fillStyle = colour.leaf;
  pen.beginPath();
  pen.ellipse(x + 0.12, y - 0.34, 0.17, 0.08, -0.6, 0, 2 * Math.PI);
  pen.fill();
  disc(pen, x - 0.12, y - 0.06, 0.07, "rgb(255 255 255 / .7)");
}

// From the tail, so that the head lies on top where the snake touches itself.
function drawBody(pen, colour, points, dead) {
  pen.lineCap = pen.lineJoin = "round";
  for (let i = points.length - 1; i > 0; i--) {
    const share = i / Math.max(points.length, 14);
    pen.lineWidth = 0.78 - 0.2 * share;
    const alive = `color-mix(in srgb, ${colour["snake-tail"]} ${Math.round(share * 100)}%, ${colour["snake-head"]})`;
    pen.strokeStyle = dead ? colour.dead : alive;
    pen.beginPath();
    pen.moveTo(...middle(points[i]));
    pen.lineTo(...middle(points[i - 1]));
    pen.stroke();
  }
}

function drawHead(pen, colour, head, heading, dead) {
  pen.save();
  pen.translate(...middle(head));
  pen.rotate(FACING[heading]);
  disc(pen, 0, 0, 0.44, dead ? colour.dead : colour["snake-head"]);
  for (const side of [-0.2, 0.2]) {
    disc(pen, 0.14, side, 0.13, colour.eye);
    disc(pen, dead ? 0.14 : 0.18, side, dead ? 0.04 : 0.07, colour.pupil);
  }
  pen.restore();
}

/** A function that draws a game, or the empty field for null; its `share` (0 to 1) says how much of the last step is done. */
export function painter(canvas) {
  const pen = canvas.getContext("2d");
  let colour = colours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (colour = colours()));

  return function paint(game, share) {
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    pen.setTransform(side / SIZE, 0, 0, side / SIZE, 0, 0);
    pen.clearRect(0, 0, SIZE, SIZE);
    pen.fillStyle = colour["cell-b"];
    for (let y = 0; y < SIZE; y++) for (let x = y % 2; x < SIZE; x += 2) pen.fillRect(x, y, 1, 1);

    if (!game) return;
    const { snake } = game;
    const dead = game.end === "wall" || game.end === "self";
    const head = between(snake[1], snake[0], share);
    const points = [head, ...snake.slice(1), between(game.left, snake.at(-1), share)];
    // It is there until the head has come to it.
    if (game.eaten && share < 0.5) drawApple(pen, colour, game.eaten);
    if (game.apple) drawApple(pen, colour, game.apple);
    drawBody(pen, colour, points, dead);
    drawHead(pen, colour, head, game.heading, dead);
  };
}
