import type { Client } from "../api/client";
import { type Problem, problemOf } from "../api/problem";
import type { Launched, Run, Way } from "../api/types";
import { backoff } from "../live/backoff";
import { type Network, pause } from "../live/network";
import { pressKey } from "./model";
import type { Store } from "./store";

/** Tries of one launch, all with one key. */
const TRIES = 5;
/** So long is good news shown, ms; bad news stays. */
const GOOD_NEWS = 8_000;

export interface Around {
  client: Client;
  store: Store;
  network: Network;
  /** Something has changed: look again. */
  look: () => void;
  random?: () => number;
}

export interface Actions {
  /** The id of the run; null if it was refused. */
  launch: (app: string, way: Way) => Promise<string | null>;
  stop: (run: Run) => Promise<void>;
  extend: (run: Run, minutes: number) => Promise<void>;
  tell: (words: string, bad?: boolean) => void;
}

export function actions(around: Around): Actions {
  const { client, store, look } = around;
  let notices = 0;
  const tell = (words: string, bad = false) => {
    const id = ++notices;
    store.change({ type: "notice", notice: { id, words, bad } });
    if (!bad) setTimeout(() => store.change({ type: "dismissed", id }), GOOD_NEWS);
  };
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act();
      look();
      return true;
    } catch (error) {
      tell(`${what}: ${problemOf(error).message}`, true);
      return false;
    }
  };
  return {
    tell,
    launch: (app, way) => launch(around, app, way),
    stop: async (run) => {
      store.change({ type: "stopping", run: run.run_id, on: true });
      const done = await attempt(`${run.run_id} was not stopped`, () => client.post(`/v1/runs/${run.run_id}/stop`));
      if (!done) store.change({ type: "stopping", run: run.run_id, on: false });
    },
    extend: async (run, minutes) => {
      const by = `${minutes}m`;
      const done = await attempt(`${run.run_id} was not extended`, () => client.post(`/v1/runs/${run.run_id}/extend`, { by }));
      const title = store.get().apps?.find(({ name }) => name === run.app)?.title ?? run.run_id;
      if (done) tell(`${title} runs ${minutes} minutes longer.`);
    },
  };
}

/** One press is one run: the same key is sent until somebody says yes or no. */
async function launch({ client, store, network, look, random }: Around, app: string, way: Way): Promise<string | null> {
  const key = pressKey(app, way);
  const headers = { "Idempotency-Key": fresh() };
  for (let tries = 1; ; tries++) {
    store.change({ type: "press", key, press: { kind: "asking", again: tries > 1 } });
    try {
      const { run_id } = await client.post<Launched>(`/api/launch/${way}`, { game: app, use_snapshot: true }, headers);
      store.change({ type: "press", key, press: null });
      look();
      return run_id;
    } catch (error) {
      const problem = problemOf(error);
      if (problem.isUnclear && tries < TRIES) {
        await pause(backoff(tries - 1, random), new AbortController().signal, network);
        continue;
      }
      store.change({ type: "press", key, press: { kind: "refused", problem, until: until(problem) } });
      return null;
    }
  }
}

function until({ retryAfter }: Problem): number | null {
  return retryAfter === null ? null : Date.now() + retryAfter * 1_000;
}

/** `crypto.randomUUID` is not there on pages without TLS. */
function fresh(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
