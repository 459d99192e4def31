// Keeps the longest run without a loss at each level, in memory and in a file.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { LEVELS } from "./rules.mjs";

/** The best scores. `file` is written anew with each record; who cannot write plays on and is told once. */
export class Scores {
  #best = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  #told = false;

  constructor(file) {
    this.file = file;
    try {
      this.#take(JSON.parse(readFileSync(file, "utf8")));
    } catch (error) {
      if (error.code !== "ENOENT") this.#setAside(error);
    }
  }

  /** The longest run at every level; 0 where nobody has played. */
  best() {
    return { ...this.#best };
  }

  /** Counts a run; says whether it is the longest so far. */
  add(level, rounds) {
    if (rounds <= this.#best[level]) return false;
    this.#best[level] = rounds;
    this.#try(() => {
      writeFileSync(`${this.file}.new`, JSON.stringify(this.#best));
      renameSync(`${this.file}.new`, this.file);
    });
    return true;
  }

  #take(stored) {
    const entries = LEVELS.map((level) => [level, stored[level] ?? 0]);
    const wrong = entries.find(([, rounds]) => !Number.isSafeInteger(rounds) || rounds < 0);
    if (wrong) throw new Error(`${wrong[0]}: ${JSON.stringify(wrong[1])} is no number of rounds`);
    this.#best = Object.fromEntries(entries);
  }

  // Moved, not overwritten: it may be somebody's.
  #setAside(error) {
    console.error(`SCORES_FILE: ${this.file} holds no scores (${error.message}); it is now ${this.file}.broken`);
    this.#try(() => renameSync(this.file, `${this.file}.broken`));
  }

  #try(write) {
    try {
      write();
    } catch (error) {
      if (!this.#told) console.error(`SCORES_FILE: ${this.file} cannot be written (${error.message}); scores last until the end`);
      this.#told = true;
    }
  }
}
