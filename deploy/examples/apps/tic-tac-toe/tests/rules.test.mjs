import assert from "node:assert/strict";
import test from "node:test";
import { choose, free, lineOf, other, put } from "../rules.mjs";

const board = (text) => [...text].map((mark) => (mark === "." ? null : mark));

test("three in a row, a column or a diagonal are a line", () => {
  for (const [text, line] of [["XXX.OO...", [0, 1, 2]], ["O.XXXOO.O", null], [".X.OXO.X.", [1, 4, 7]], ["X.O.OXOX.", [2, 4, 6]], [".........", null]]) {
    assert.deepEqual(lineOf(board(text)), line, text);
  }
});

test("easy plays any free cell", () => {
  const cells = [0, 0.3, 0.6, 0.999].map((chance) => choose("easy", board("XX.OO..X."), "O", () => chance));
  assert.deepEqual(cells, [2, 5, 6, 8]);
});

test("medium completes its line, else stops the other's", () => {
  for (const chance of [0, 0.999]) {
    assert.equal(choose("medium", board("XX.OO...X"), "O", () => chance), 5);
    assert.equal(choose("medium", board("XX.O....."), "O", () => chance), 2);
  }
});

test("perfect wins at once where it can", () => {
  for (const chance of [0, 0.999]) assert.equal(choose("perfect", board("OO.XX...."), "O", () => chance), 2);
});

// Plays every game that there is against the opponent, and counts its ends.
function ends(level, now, turn, mine, chance, count) {
  if (lineOf(now) || free(now).length === 0) {
    const winner = lineOf(now) && other(turn);
    count[winner === null ? "draw" : winner === mine ? "win" : "loss"] += 1;
    return count;
  }
  const cells = turn === mine ? [choose(level, now, mine, () => chance)] : free(now);
  for (const cell of cells) ends(level, put(now, cell, turn), other(turn), mine, chance, count);
  return count;
}

test("perfect never loses, whoever begins and whatever is played", () => {
  for (const mine of ["X", "O"]) {
    for (const chance of [0, 0.5, 0.999]) {
      const { win, draw, loss } = ends("perfect", Array(9).fill(null), "X", mine, chance, { win: 0, draw: 0, loss: 0 });
      assert.equal(loss, 0);
      assert.ok(win > 0 && draw > 0, `${win} won, ${draw} drawn`);
    }
  }
});

test("easy and medium can be beaten", () => {
  for (const level of ["easy", "medium"]) {
    assert.ok(ends(level, Array(9).fill(null), "X", "O", 0, { win: 0, draw: 0, loss: 0 }).loss > 0, level);
  }
});
