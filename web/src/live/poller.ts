import type { Client } from "../api/client";
import { problemOf } from "../api/problem";
import type { App, Entry, Pool, Run } from "../api/types";
import type { Look } from "../state/model";
import type { Store } from "../state/store";
import { backoff } from "./backoff";
import { type Network, pause } from "./network";

/** Between two looks, ms. */
const EVERY = 2_000;
/** A look at many runs costs more, and so there are fewer of them. */
const EVERY_OF_MANY = 5_000;
const MANY = 200;
const LOG = 60;

export interface Around {
  client: Client;
  store: Store;
  network: Network;
  /** Runs that are listed at most. */
  limit: () => number;
  random?: () => number;
}

/** Looks at the gateway again and again: a look that fails is repeated with growing pauses, and at once when the network is back. */
export class Poller {
  private wake = new AbortController();
  private failures = 0;
  private readonly stop = new AbortController();

  constructor(private readonly around: Around) {}

  async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      // Whoever asks for a look from here on gets one after this one.
      this.wake = new AbortController();
      const ms = await this.once();
      await pause(ms, AbortSignal.any([this.stop.signal, this.wake.signal]), this.around.network);
    }
  }

  /** Looks again at once. */
  soon(): void {
    this.wake.abort();
  }

  end(): void {
    this.stop.abort();
  }

  /** One look; gives the pause after it. */
  private async once(): Promise<number> {
    const { store, network, limit, random } = this.around;
    const caller = store.get().hasToken;
    try {
      const look = await this.look();
      if (store.get().hasToken !== caller) return 0;
      this.failures = 0;
      store.change({ type: "looked", look, at: Date.now() / 1_000 });
      return Math.min(look.total, limit()) > MANY ? EVERY_OF_MANY : EVERY;
    } catch (error) {
      const problem = problemOf(error);
      const ms = Math.max(backoff(this.failures++, random), (problem.retryAfter ?? 0) * 1_000);
      if (!network.isUp()) store.change({ type: "link", link: { kind: "offline" } });
      else if (problem.isAboutRights) store.change({ type: "link", link: { kind: "locked", problem } });
      else store.change({ type: "link", link: { kind: "waiting", until: Date.now() + ms, why: problem.message } });
      return ms;
    }
  }

  private async look(): Promise<Look> {
    const { client, limit } = this.around;
    const { signal } = this.stop;
    const [apps, pools, runs, log] = await Promise.all([
      client.get<{ apps: App[] }>("/v1/apps", signal),
      client.get<{ pools: Pool[] }>("/v1/pools", signal),
      client.get<{ runs: Run[]; total: number }>(`/v1/runs?limit=${limit()}`, signal),
      client.get<{ logs: Entry[] }>(`/api/orchestrator/logs?limit=${LOG}`, signal),
    ]);
    return { apps: apps.apps, pools: pools.pools, runs: runs.runs, total: runs.total, log: log.logs };
  }
}
