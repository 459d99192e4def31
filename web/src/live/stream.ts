import { createParser } from "eventsource-parser";
import type { Client } from "../api/client";
import { type Problem, problemOf } from "../api/problem";
import type { End, Entry } from "../api/types";
import { backoff } from "./backoff";
import { type Network, pause } from "./network";

/** The gateway says something every 15 s: after so much silence the connection is dead, ms. */
const SILENCE = 40_000;

export type StreamState =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "waiting"; until: number; why: string }
  | { kind: "refused"; problem: Problem }
  | { kind: "ended"; end: End };

export interface Listener {
  state(state: StreamState): void;
  entry(entry: Entry): void;
}

export interface Around {
  client: Client;
  network: Network;
  random?: () => number;
  now?: () => number;
}

/**
 * Follows a run from its first entry to its end. Whatever breaks in between, it comes back for what is missing, and
 * tells nothing twice. `EventSource` would do that too, but cannot send a token.
 */
export async function follow(run: string, listener: Listener, signal: AbortSignal, around: Around): Promise<void> {
  const { client, network, random, now = Date.now } = around;
  let seen = 0;
  let failures = 0;
  const told = (entry: Entry) => {
    if (entry.number <= seen) return;
    seen = entry.number;
    listener.entry(entry);
  };
  while (!signal.aborted) {
    listener.state({ kind: "connecting" });
    const attempt = new Attempt(signal, network);
    let why = "The connection was lost.";
    try {
      const resume: Record<string, string> = seen > 0 ? { "Last-Event-ID": String(seen) } : {};
      const response = await client.open(`/v1/runs/${encodeURIComponent(run)}/events`, resume, attempt.signal);
      listener.state({ kind: "live" });
      failures = 0;
      const end = await read(response, told, () => attempt.alive());
      if (end) {
        listener.state({ kind: "ended", end });
        return;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      const problem = problemOf(error);
      if (problem.isFinal) {
        listener.state({ kind: "refused", problem });
        return;
      }
      why = network.isUp() ? problem.message : "This device is offline.";
    } finally {
      attempt.end();
    }
    const ms = backoff(failures++, random);
    listener.state({ kind: "waiting", until: now() + ms, why });
    await pause(ms, signal, network);
  }
}

// What is awaited in between changes it, which control flow analysis does not see.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** One connection, which ends with its listener, with the network, or in silence. */
class Attempt {
  private readonly ends = new AbortController();
  private readonly unwatch: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  readonly signal: AbortSignal;

  constructor(outer: AbortSignal, network: Network) {
    this.signal = AbortSignal.any([outer, this.ends.signal]);
    this.unwatch = network.watch(() => {
      if (!network.isUp()) this.ends.abort();
    });
    this.alive();
  }

  alive(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ends.abort(), SILENCE);
  }

  end(): void {
    clearTimeout(this.timer);
    this.unwatch();
    this.ends.abort();
  }
}

/** Reads to the end of the stream; gives its last event if it came that far. */
async function read(response: Response, entry: (entry: Entry) => void, alive: () => void): Promise<End | null> {
  const heard: { end: End | null } = { end: null };
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === "end") heard.end = JSON.parse(data) as End;
      else if (event === undefined || event === "message") entry(JSON.parse(data) as Entry);
    },
  });
  const body = response.body?.getReader();
  const text = new TextDecoder();
  while (body && heard.end === null) {
    const { done, value } = await body.read();
    if (done) break;
    alive();
    parser.feed(text.decode(value, { stream: true }));
  }
  void body?.cancel().catch(() => undefined);
  return heard.end;
}
