// What a game of tic-tac-toe is, and how the opponent plays. Pure: a board is nine of "X", "O" or null.

const LINES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

/** How the opponent may play, from the weakest on; only "perfect" cannot be beaten. */
export const LEVELS = ["easy", "medium", "perfect"];

export const other = (mark) => (mark === "X" ? "O" : "X");

/** The three cells of a full line, or null. */
export const lineOf = (board) => LINES.find(([a, b, c]) => board[a] && board[a] === board[b] && board[a] === board[c]) ?? null;

/** The cells that are free. */
export const free = (board) => board.flatMap((mark, cell) => (mark ? [] : [cell]));

/** The board with one more mark. */
export const put = (board, cell, mark) => board.with?.(cell, mark) ?? board.map((old, at) => (at === cell ? mark : old));

const wins = (board, mark) => free(board).filter((cell) => lineOf(put(board, cell, mark)));

// What a board is worth to `mark`, whose turn it is: above 0 is won, below lost; the sooner, the further from 0.
function worth(board, mark) {
  if (lineOf(board)) return -1 - free(board).length;
  const cells = free(board);
  return cells.length === 0 ? 0 : Math.max(...cells.map((cell) => -worth(put(board, cell, mark), other(mark))));
}

function bestCells(board, mark) {
  // On the empty board all are worth the same, and looking at every game takes long.
  if (free(board).length === 9) return free(board);
  const rated = free(board).map((cell) => ({ cell, worth: -worth(put(board, cell, mark), other(mark)) }));
  const most = Math.max(...rated.map((one) => one.worth));
  return rated.filter((one) => one.worth === most).map((one) => one.cell);
}

/**
 * The cell that the opponent takes on a board with a free one. "easy" plays by chance; "medium" completes a line, or
 * stops one, and else plays by chance; "perfect" looks at every game there can be. `random` gives 0 up to 1.
 */
export function choose(level, board, mark, random = Math.random) {
  const [mine, theirs] = [wins(board, mark), wins(board, other(mark))];
  const medium = mine.length ? mine : theirs.length ? theirs : free(board);
  const cells = { easy: free(board), medium, perfect: [] }[level];
  const from = level === "perfect" ? bestCells(board, mark) : cells;
  return from[Math.floor(random() * from.length)];
}
