import assert from "node:assert/strict";
import test from "node:test";
import { PAIRS, cover, deal, flip, isWon } from "../page/rules.mjs";

// Cards in a known order: 0 0 1 1 2 2 …
const inOrder = () => ({ ...deal("small"), cards: [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5] });

test("every board has each picture twice, in another order each time", () => {
  for (const [board, pairs] of Object.entries(PAIRS)) {
    const { cards } = deal(board);
    assert.deepEqual([...cards].sort((a, b) => a - b), Array.from({ length: 2 * pairs }, (_, place) => place >> 1));
  }
  const [low, high] = [deal("large", () => 0), deal("large", () => 0.999)];
  assert.notDeepEqual(low.cards, high.cards);
});

test("a pair stays, and costs one move", () => {
  const game = flip(flip(inOrder(), 0), 1);
  assert.deepEqual([game.found, game.open, game.moves], [[0, 1], [], 1]);
  assert.equal(flip(game, 0), game);
});

test("two that differ stay open until the next card, or until they are covered", () => {
  const game = flip(flip(inOrder(), 0), 2);
  assert.deepEqual([game.found, game.open, game.moves], [[], [0, 2], 1]);
  assert.deepEqual(cover(game).open, []);
  assert.deepEqual(flip(game, 4).open, [4]);
  assert.deepEqual(flip(game, 0).open, [0]);
});

test("one card twice is no move, and places that are none are left", () => {
  const game = flip(inOrder(), 3);
  for (const place of [3, -1, 12, 1.5, "length"]) assert.equal(flip(game, place), game);
  assert.equal(cover(game), game);
});

test("all pairs win", () => {
  const moves = Array.from({ length: 12 }, (_, place) => place);
  const almost = moves.slice(0, 11).reduce(flip, inOrder());
  assert.equal(isWon(almost), false);
  const won = flip(almost, 11);
  assert.deepEqual([isWon(won), won.moves], [true, 6]);
});
