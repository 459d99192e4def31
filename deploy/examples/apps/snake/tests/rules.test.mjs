import assert from "node:assert/strict";
import test from "node:test";
import { SIZE, newGame, step, turn } from "../page/rules.mjs";

const corner = () => 0.999999; // apples appear in the last free cell
const steps = (game, count) => Array.from({ length: count }).reduce((now) => step(now, corner), game);

test("a new snake has three parts, heads right and has an apple elsewhere", () => {
  const game = newGame(() => 0);
  assert.deepEqual(game.snake, [{ x: 5, y: 8 }, { x: 4, y: 8 }, { x: 3, y: 8 }]);
  assert.deepEqual(game.apple, { x: 0, y: 0 });
  assert.deepEqual(step(game).snake, [{ x: 6, y: 8 }, { x: 5, y: 8 }, { x: 4, y: 8 }]);
});

test("the wall ends the game, and nothing happens after", () => {
  const game = steps(newGame(corner), 11);
  assert.deepEqual([game.end, game.snake[0].x], [null, SIZE - 1]);
  const ended = step(game);
  assert.deepEqual([ended.end, ended.snake], ["wall", game.snake]);
  assert.equal(step(ended), ended);
});

test("it cannot turn back on itself, and takes two quick turns one step each", () => {
  const game = newGame(corner);
  for (const way of ["left", "right", "nowhere", "toString"]) assert.equal(turn(game, way), game);
  const twice = turn(turn(game, "up"), "left");
  assert.deepEqual(twice.turns, ["up", "left"]);
  assert.equal(turn(twice, "down"), twice);
  assert.deepEqual(steps(twice, 2).snake[0], { x: 4, y: 7 });
});

test("an apple makes it longer by one and appears anew", () => {
  const hungry = { ...newGame(corner), apple: { x: 6, y: 8 } };
  const fed = step(hungry, corner);
  assert.deepEqual([fed.apples, fed.snake.length, fed.eaten, fed.end], [1, 4, { x: 6, y: 8 }, null]);
  assert.deepEqual(fed.apple, { x: SIZE - 1, y: SIZE - 1 });
  assert.equal(step(fed, corner).eaten, null);
});

test("it may follow its tail, and not bite itself", () => {
  const square = [{ x: 5, y: 5 }, { x: 5, y: 6 }, { x: 4, y: 6 }, { x: 4, y: 5 }];
  const game = { ...newGame(corner), snake: square, heading: "up", turns: ["left"] };
  assert.equal(step(game, corner).end, null);
  const longer = { ...game, snake: [...square, { x: 3, y: 5 }] };
  assert.equal(step(longer, corner).end, "self");
});

test("the last apple on a full field wins", () => {
  const cells = [];
  for (let y = 0; y < SIZE; y++) for (let x = 0; x < SIZE; x++) cells.push({ x: y % 2 ? SIZE - 1 - x : x, y });
  const apple = cells.pop();
  const full = { ...newGame(corner), snake: cells.reverse(), heading: "right", turns: [], apple };
  const won = step(full, corner);
  assert.deepEqual([won.end, won.apple, won.snake.length], ["full", null, SIZE * SIZE]);
});
