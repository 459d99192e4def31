import assert from "node:assert/strict";
import test from "node:test";
import { Matches, Refused } from "../matches.mjs";

// An opponent that takes the first cell of those it likes, and a memory for scores.
function matches() {
  const best = { easy: 0, medium: 0, perfect: 0 };
  const add = (level, rounds) => rounds > best[level] && Boolean((best[level] = rounds));
  return new Matches({ best: () => ({ ...best }), add }, () => 0);
}
const play = (all, id, cells) => cells.map((cell) => all.move(id, { cell })).at(-1);

test("who begins changes with every round, and the opponent answers at once", () => {
  const all = matches();
  const { id, you, board } = all.create({ level: "easy" });
  assert.deepEqual([you, board], ["X", Array(9).fill(null)]);
  const won = play(all, id, [8, 7, 6]); // against 0, 1
  assert.deepEqual([won.outcome, won.line, won.tally.wins], ["win", [6, 7, 8], 1]);
  const second = all.next(id);
  assert.deepEqual([second.round, second.you, second.last, second.board[0]], [2, "O", 0, "X"]);
});

test("a run without a loss is the score, and a loss ends it", () => {
  const all = matches();
  const { id } = all.create({ level: "easy" });
  assert.deepEqual([play(all, id, [8, 7, 6]).record, all.show(id).best], [true, 1]);
  all.next(id);
  const lost = play(all, id, [8, 7]); // against 0, 1, 2
  assert.deepEqual([lost.outcome, lost.line, lost.record], ["loss", [0, 1, 2], false]);
  assert.deepEqual([lost.tally, lost.best], [{ wins: 1, draws: 0, losses: 1, unbeaten: 0 }, 1]);
  all.next(id);
  assert.equal(play(all, id, [8, 7, 6]).record, false);
  all.next(id);
  const again = play(all, id, [2, 5, 8]);
  assert.deepEqual([again.outcome, again.tally.unbeaten, again.record, again.best], ["win", 2, true, 2]);
});

test("moves that cannot be are refused, and change nothing", () => {
  const all = matches();
  const { id } = all.create({ level: "easy" });
  const before = all.move(id, { cell: 4 });
  for (const [cell, status, said] of [
    [4, 409, /^cell: 4 is taken by X; use one of 1, 2, 3, 5, 6, 7, 8$/],
    [0, 409, /^cell: 0 is taken by O/],
    [9, 422, /^cell: 9 is no cell; use 0 to 8$/],
    ["4", 422, /^cell: "4" is no cell/],
    [undefined, 422, /^cell: nothing is no cell/],
  ]) {
    assert.throws(() => all.move(id, { cell }), (error) => error instanceof Refused && error.status === status && said.test(error.message));
  }
  assert.throws(() => all.next(id), /has a round that is not over; finish it first/);
  assert.deepEqual(all.show(id), before);
});

test("a round that is over takes no move", () => {
  const all = matches();
  const { id } = all.create({ level: "easy" });
  play(all, id, [8, 7, 6]);
  assert.throws(() => all.move(id, { cell: 3 }), (error) => error.status === 409 && /has no round to play/.test(error.message));
});

test("of more than a thousand matches the one that waited longest goes", () => {
  const all = matches();
  const [kept, waited] = [all.create({ level: "easy" }).id, all.create({ level: "easy" }).id];
  for (let i = 2; i < 1000; i++) all.create({ level: "easy" });
  all.show(kept);
  all.create({ level: "easy" });
  assert.equal(all.show(kept).id, kept);
  assert.throws(() => all.show(waited), (error) => error.status === 404 && /POST to api\/matches for a new one/.test(error.message));
});
