const FIRST = 1_000;
const LONGEST = 30_000;

/** Milliseconds before the next try, after so many that failed: doubling, and never in step with other pages. */
export function backoff(failures: number, random: () => number = Math.random): number {
  const most = Math.min(LONGEST, FIRST * 2 ** Math.min(failures, 16));
  return Math.round(most / 2 + (random() * most) / 2);
}
