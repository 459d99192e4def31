import type { App, Condition, Pool, Way } from "../api/types";
import type { Tone } from "./runs";
import { counted } from "./money";

/** How a pool is, in a sentence. */
export function howItIs(pool: Pool): { words: string; tone: Tone } {
  const short = pool.desired - pool.ready;
  if (pool.queued > 0) {
    const full = pool.total >= pool.max ? " and it is full" : "";
    return { words: `${counted(pool.queued, "launch waits", "launches wait")} for a sandbox${full}.`, tone: "sand" };
  }
  if (pool.failed > 0) return { words: `${counted(pool.failed, "sandbox", "sandboxes")} failed and will be replaced.`, tone: "bad" };
  if (pool.creating > 0) return { words: `${counted(pool.creating, "sandbox is", "sandboxes are")} on the way in.`, tone: "water" };
  if (short > 0 && pool.total >= pool.max) return { words: "Full: nothing more is made until one is given back.", tone: "sand" };
  if (short > 0) return { words: `${short} short of the ${pool.desired} wanted.`, tone: "sand" };
  if (pool.desired === 0) return { words: "Nothing is kept warm: each launch waits for a sandbox of its own.", tone: "still" };
  return { words: "At its level.", tone: "good" };
}

/** What conditions say when they are not as one would wish; nothing is said of those that are. */
const TROUBLES: Record<string, { when: string; words: string; tone: Tone }> = {
  Available: { when: "False", words: "Fewer warm sandboxes than wanted", tone: "sand" },
  Progressing: { when: "True", words: "Sandboxes are being made or removed", tone: "water" },
  Idle: { when: "True", words: "Resting until somebody launches", tone: "still" },
  Degraded: { when: "True", words: "A person is needed", tone: "bad" },
  BudgetExceeded: { when: "True", words: "The budget allows no more", tone: "bad" },
  ProviderReachable: { when: "False", words: "The provider cannot be used", tone: "bad" },
  ResolvedRefs: { when: "False", words: "Something that the pool names is missing", tone: "bad" },
  Terminating: { when: "True", words: "Being deleted", tone: "still" },
};

export function troubles(conditions: Condition[]): { type: string; words: string; detail: string; tone: Tone }[] {
  return conditions.flatMap(({ type, status, message }) => {
    const trouble = TROUBLES[type];
    if (!trouble || (status !== trouble.when && status !== "Unknown")) return [];
    const words = status === "Unknown" ? `Not known now: ${type}` : trouble.words;
    return [{ type, words, detail: message, tone: trouble.tone }];
  });
}

/** The ways in which an app can be launched: a pool that holds a level starts it warm, one that holds none cold. */
export function ways(app: App, pools: readonly Pool[]): Way[] {
  const own = pools.filter((pool) => app.pools.includes(pool.name));
  const warm = own.some((pool) => pool.target > 0);
  const cold = own.some((pool) => pool.target === 0);
  return [...(warm ? (["warm"] as const) : []), ...(cold ? (["cold"] as const) : [])];
}

/** All pools together, as one sentence. */
export function tide(pools: readonly Pool[]): string {
  const sum = (of: (pool: Pool) => number) => pools.reduce((all, pool) => all + of(pool), 0);
  const [warm, creating, claimed] = [sum((pool) => pool.ready), sum((pool) => pool.creating), sum((pool) => pool.claimed)];
  const first = warm === 0 ? "No sandbox is warm" : `${inWords(warm)} ${warm === 1 ? "sandbox is" : "sandboxes are"} warm`;
  const rest = [
    ...(creating > 0 ? [`${inWords(creating).toLowerCase()} on the way in`] : []),
    ...(claimed > 0 ? [`${inWords(claimed).toLowerCase()} in use`] : []),
  ];
  return `${[first, ...rest].join(", ")}.`;
}

const SMALL = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"];

function inWords(count: number): string {
  return SMALL[count] ?? String(count);
}
