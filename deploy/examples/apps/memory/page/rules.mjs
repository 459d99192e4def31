// What a game of Memory is. No page, no clock: a game is a plain object, and every function gives a new one.

/** Pairs on each board. */
export const PAIRS = { small: 6, medium: 8, large: 12 };

/** A shuffled game: `cards` holds a picture's number for each place. `random` gives numbers from 0 up to 1. */
export function deal(board, random = Math.random) {
  const cards = Array.from({ length: 2 * PAIRS[board] }, (_, place) => place >> 1);
  for (let i = cards.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [cards[i], cards[j]] = [cards[j], cards[i]];
  }
  return { board, cards, open: [], found: [], moves: 0 };
}

/** Whether every pair was found. */
export const isWon = (game) => game.found.length === game.cards.length;

/** The same game with two different open cards turned back; with none or one open, or a pair, nothing changes. */
export const cover = (game) => (game.open.length === 2 ? { ...game, open: [] } : game);

/**
 * Turns a card over. Two open ones that differ stay open until the next card is turned (which may be one of them)
 * or `cover` is called. Found ones, and a single open one, are left as they are. A move is the second card of two.
 */
export function flip(game, place) {
  const { open } = cover(game);
  if (!Number.isInteger(place) || !(place in game.cards) || open.includes(place) || game.found.includes(place)) return game;
  if (open.length === 0) return { ...game, open: [place] };
  const moves = game.moves + 1;
  const [first] = open;
  if (game.cards[first] !== game.cards[place]) return { ...game, open: [first, place], moves };
  return { ...game, open: [], found: [...game.found, first, place], moves };
}
