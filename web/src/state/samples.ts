import type { Pool } from "../api/types";

/** One look at a pool; time in seconds since the epoch. */
export interface Sample {
  at: number;
  warm: number;
  creating: number;
  claimed: number;
}

export type Samples = Readonly<Record<string, readonly Sample[]>>;

/** Half an hour at a look every two seconds. */
const KEPT = 900;

/** Adds a look at every pool; those of pools that are gone go. */
export function sampled(samples: Samples, pools: readonly Pool[], at: number): Samples {
  const next: Record<string, readonly Sample[]> = {};
  for (const pool of pools) {
    const sample = { at, warm: pool.ready, creating: pool.creating, claimed: pool.claimed };
    next[pool.name] = joined(samples[pool.name] ?? [], sample);
  }
  return next;
}

/** While nothing changes, the newest look moves instead of another being added: a line needs its two ends. */
function joined(kept: readonly Sample[], sample: Sample): readonly Sample[] {
  const [before, last] = [kept.at(-2), kept.at(-1)];
  const same = (other: Sample | undefined) =>
    other?.warm === sample.warm && other.creating === sample.creating && other.claimed === sample.claimed;
  const rest = same(before) && same(last) ? kept.slice(0, -1) : kept.slice(-KEPT + 1);
  return [...rest, sample];
}
