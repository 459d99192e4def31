import type { Network } from "./network";

/** A network that a test switches. */
export function switchedNetwork(): Network & { set: (up: boolean) => void } {
  let up = true;
  const watchers = new Set<() => void>();
  return {
    isUp: () => up,
    watch: (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    set: (now) => {
      up = now;
      watchers.forEach((changed) => changed());
    },
  };
}

type Answer = (request: Request) => Response | Promise<Response>;

/** A gateway that answers each request with the next answer, the last one for ever; and what it was asked. */
export function scripted(...answers: Answer[]): { fetch: typeof fetch; asked: Request[] } {
  const asked: Request[] = [];
  const ask = (input: RequestInfo | URL, options?: RequestInit): Promise<Response> => {
    const request = new Request(new URL(input instanceof Request ? input.url : input, "http://gateway.test"), options);
    asked.push(request);
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (!answer) throw new Error("no answer was given");
    return Promise.race([Promise.resolve(answer(request)), aborted(request.signal)]);
  };
  return { fetch: ask, asked };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
  });
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}

/** A stream of these pieces, which then ends, breaks, or stays open. */
export function streamed(pieces: string[], then: "ends" | "breaks" | "stays", signal?: AbortSignal): Response {
  const text = new TextEncoder();
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    start: (control) => {
      signal?.addEventListener("abort", () => {
        if (then === "stays") control.error(new DOMException("aborted", "AbortError"));
      });
    },
    // Piece by piece: what is still queued when a stream breaks is lost.
    pull: (control) => {
      const piece = left.shift();
      if (piece !== undefined) control.enqueue(text.encode(piece));
      else if (then === "ends") control.close();
      else if (then === "breaks") control.error(new TypeError("network error"));
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

export function frame(number: number, message = `m${number}`): string {
  const entry = { run_id: "run-1", number, time: "2026-11-22T10:00:00Z", message, warning: false };
  return `id: ${number}\ndata: ${JSON.stringify(entry)}\n\n`;
}

export const END = 'event: end\ndata: {"run_id":"run-1","status":"ended","reason":"Released"}\n\n';
