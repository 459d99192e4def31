// Matches: one player against the opponent at one level, round after round. The server plays, so scores are true.
import { randomUUID } from "node:crypto";
import { LEVELS, choose, free, lineOf, other, put } from "./rules.mjs";

// Matches kept; then the one that waited longest goes.
const MOST = 1000;

/** A request that cannot be met: what is wrong with which value of which field, and the way out. */
export class Refused extends Error {
  constructor(status, field, value, wayOut) {
    const shown = JSON.stringify(value) ?? "nothing";
    super(`${field}: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} ${wayOut}`);
    Object.assign(this, { status, field, value: shown.length > 80 ? `${shown.slice(0, 80)}…` : (value ?? null) });
  }
}

/** All matches, and through `scores` the longest run without a loss at each level. */
export class Matches {
  #matches = new Map();

  constructor(scores, random = Math.random) {
    Object.assign(this, { scores, random });
  }

  /** A new match; the player begins its first round. */
  create({ level }) {
    if (!LEVELS.includes(level)) throw new Refused(422, "level", level, `is no level; use ${LEVELS.join(", ")}`);
    const match = { id: randomUUID(), level, round: 0, tally: { wins: 0, draws: 0, losses: 0, unbeaten: 0 }, record: false };
    this.#matches.set(match.id, match);
    if (this.#matches.size > MOST) this.#matches.delete(this.#matches.keys().next().value);
    return this.#begin(match);
  }

  /** The match as its player sees it. */
  show(id) {
    const match = this.#find(id);
    return { ...match, best: this.scores.best()[match.level] };
  }

  /** The player's mark on a cell (0 to 8, in reading order), and the opponent's answer. */
  move(id, { cell }) {
    const match = this.#find(id);
    if (match.outcome) throw new Refused(409, "match", id, "has no round to play; POST to its rounds for the next one");
    if (!Number.isInteger(cell) || cell < 0 || cell > 8) throw new Refused(422, "cell", cell, "is no cell; use 0 to 8");
    if (match.board[cell]) {
      throw new Refused(409, "cell", cell, `is taken by ${match.board[cell]}; use one of ${free(match.board).join(", ")}`);
    }
    this.#mark(match, cell, match.you);
    if (!match.outcome) this.#answer(match);
    return this.show(id);
  }

  /** The next round; who answered in the last one begins. */
  next(id) {
    const match = this.#find(id);
    if (!match.outcome) throw new Refused(409, "match", id, "has a round that is not over; finish it first");
    return this.#begin(match);
  }

  #find(id) {
    const match = this.#matches.get(id);
    if (!match) throw new Refused(404, "match", id, "is not here (any more); POST to api/matches for a new one");
    // To the end of the queue: a match that is played is not the next to go.
    this.#matches.delete(id);
    this.#matches.set(id, match);
    return match;
  }

  #begin(match) {
    const you = match.round % 2 === 0 ? "X" : "O"; // X begins
    const fresh = { board: Array(9).fill(null), outcome: null, line: null, last: null, record: false };
    Object.assign(match, fresh, { you, round: match.round + 1 });
    if (you === "O") this.#answer(match);
    return this.show(match.id);
  }

  #answer(match) {
    const mark = other(match.you);
    this.#mark(match, choose(match.level, match.board, mark, this.random), mark);
  }

  #mark(match, cell, mark) {
    match.board = put(match.board, cell, mark);
    match.last = cell;
    match.line = lineOf(match.board);
    if (match.line) match.outcome = mark === match.you ? "win" : "loss";
    else if (free(match.board).length === 0) match.outcome = "draw";
    if (match.outcome) this.#count(match);
  }

  #count(match) {
    const { tally, outcome } = match;
    tally[{ win: "wins", draw: "draws", loss: "losses" }[outcome]] += 1;
    tally.unbeaten = outcome === "loss" ? 0 : tally.unbeaten + 1;
    match.record = this.scores.add(match.level, tally.unbeaten);
  }
}
