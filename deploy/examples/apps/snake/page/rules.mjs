// What a game of Snake is. No page, no clock: a game is a plain object, and every function gives a new one.

/** Cells on each side of the field. */
export const SIZE = 17;

/** Steps per second at each speed. */
export const LEVELS = { slow: 5, normal: 8, fast: 12 };

const WAYS = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] };
const AGAINST = { up: "down", down: "up", left: "right", right: "left" };
// Turns that wait: two make a quick U-turn possible, more would be played long after the key.
const MOST_WAITING = 2;

const same = (a, b) => a.x === b.x && a.y === b.y;

function freeCell(snake, random) {
  const free = [];
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      if (!snake.some((part) => same(part, { x, y }))) free.push({ x, y });
    }
  }
  return free.length ? free[Math.floor(random() * free.length)] : null;
}

/** A game that waits for its first step. `random` gives numbers from 0 up to 1. */
export function newGame(random = Math.random) {
  const y = (SIZE - 1) / 2;
  const snake = [5, 4, 3].map((x) => ({ x, y }));
  const apple = freeCell(snake, random);
  return { snake, left: { x: 2, y }, heading: "right", turns: [], apple, apples: 0, eaten: null, end: null };
}

/** The same game with one more turn waiting; turns back, and the way it goes already, are not taken. */
export function turn(game, way) {
  const last = game.turns.at(-1) ?? game.heading;
  if (!Object.hasOwn(WAYS, way) || way === last || way === AGAINST[last] || game.turns.length >= MOST_WAITING) return game;
  return { ...game, turns: [...game.turns, way] };
}

/**
 * One step on. `left` is the cell that the tail came from, `eaten` the apple of this step, and `end` is null, "wall",
 * "self" or, with the whole field eaten, "full".
 */
export function step(game, random = Math.random) {
  if (game.end) return game;
  const [heading = game.heading, ...turns] = game.turns;
  const [dx, dy] = WAYS[heading];
  const head = { x: game.snake[0].x + dx, y: game.snake[0].y + dy };
  const ended = (end) => ({ ...game, heading, turns: [], end });
  if (head.x < 0 || head.y < 0 || head.x >= SIZE || head.y >= SIZE) return ended("wall");

  const eats = same(head, game.apple);
  // Where the tail leaves, the head may come.
  const stays = eats ? game.snake : game.snake.slice(0, -1);
  if (stays.some((part) => same(part, head))) return ended("self");

  const snake = [head, ...stays];
  const left = eats ? snake.at(-1) : game.snake.at(-1);
  const apple = eats ? freeCell(snake, random) : game.apple;
  const [apples, eaten] = eats ? [game.apples + 1, head] : [game.apples, null];
  return { snake, left, heading, turns, apple, apples, eaten, end: apple ? null : "full" };
}
