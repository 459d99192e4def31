import type { Problem } from "../api/problem";
import type { App, Entry, Pool, Run, Way } from "../api/types";
import { keep } from "./keep";
import { type Samples, sampled } from "./samples";

/** How the page stands to the gateway. */
export type Link =
  | { kind: "loading" }
  | { kind: "live" }
  | { kind: "waiting"; until: number; why: string }
  | { kind: "offline" }
  | { kind: "locked"; problem: Problem };

/** A launch button that was pressed. */
export type Press = { kind: "asking"; again: boolean } | { kind: "refused"; problem: Problem; until: number | null };

export interface Notice {
  id: number;
  words: string;
  bad: boolean;
}

/** What one look at the gateway gave. */
export interface Look {
  apps: App[];
  pools: Pool[];
  runs: Run[];
  total: number;
  log: Entry[];
}

export interface Model {
  link: Link;
  apps: readonly App[] | null;
  pools: readonly Pool[] | null;
  runs: readonly Run[] | null;
  /** Runs that there are, listed or not. */
  total: number;
  log: readonly Entry[] | null;
  samples: Samples;
  presses: Readonly<Record<string, Press>>;
  /** Runs whose end was asked for and is not seen yet. */
  stopping: ReadonlySet<string>;
  notices: readonly Notice[];
  hasToken: boolean;
}

export type Change =
  | { type: "looked"; look: Look; at: number }
  | { type: "link"; link: Link }
  | { type: "token"; hasToken: boolean }
  | { type: "press"; key: string; press: Press | null }
  | { type: "stopping"; run: string; on: boolean }
  | { type: "notice"; notice: Notice }
  | { type: "dismissed"; id: number };

/** Notices that are shown at once. */
const NOTICES = 4;

export const begin: Model = {
  link: { kind: "loading" },
  apps: null,
  pools: null,
  runs: null,
  total: 0,
  log: null,
  samples: {},
  presses: {},
  stopping: new Set(),
  notices: [],
  hasToken: false,
};

export function pressKey(app: string, way: Way): string {
  return `${way} ${app}`;
}

export function reduce(model: Model, change: Change): Model {
  switch (change.type) {
    case "looked":
      return looked(model, change.look, change.at);
    case "link":
      return { ...model, link: change.link };
    case "token":
      // Another caller may see other things: nothing of the last one stays.
      return { ...begin, notices: model.notices, hasToken: change.hasToken };
    case "press":
      return { ...model, presses: pressed(model.presses, change.key, change.press) };
    case "stopping":
      return { ...model, stopping: toggled(model.stopping, change.run, change.on) };
    case "notice":
      return { ...model, notices: [...model.notices, change.notice].slice(-NOTICES) };
    case "dismissed":
      return { ...model, notices: model.notices.filter(({ id }) => id !== change.id) };
  }
}

function looked(model: Model, look: Look, at: number): Model {
  const runs = keep(model.runs, look.runs, (run) => run.run_id);
  const going = new Set(runs.filter((run) => run.status !== "ended" && run.ended_at === null).map((run) => run.run_id));
  const stopping = [...model.stopping].filter((run) => going.has(run));
  return {
    ...model,
    link: { kind: "live" },
    apps: keep(model.apps, look.apps, (app) => app.name),
    pools: keep(model.pools, look.pools, (pool) => pool.name),
    runs,
    total: look.total,
    log: keep(model.log, look.log, (entry) => `${entry.run_id} ${entry.number}`),
    samples: sampled(model.samples, look.pools, at),
    stopping: stopping.length === model.stopping.size ? model.stopping : new Set(stopping),
  };
}

function pressed(presses: Model["presses"], key: string, press: Press | null): Model["presses"] {
  const rest = Object.fromEntries(Object.entries(presses).filter(([other]) => other !== key));
  return press === null ? rest : { ...rest, [key]: press };
}

function toggled(all: ReadonlySet<string>, one: string, on: boolean): ReadonlySet<string> {
  const next = new Set(all);
  if (on) next.add(one);
  else next.delete(one);
  return next;
}
