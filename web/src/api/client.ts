import { Problem, refusal } from "./problem";

/** After so long without an answer there is none, ms. */
const PATIENCE = 15_000;

export interface Client {
  get<T>(path: string, signal?: AbortSignal): Promise<T>;
  post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T>;
  /** An answer whose body is read as it comes; it has no time limit. */
  open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response>;
}

export interface Around {
  token: () => string | null;
  /** Told the server's time with each answer, ms since the epoch. */
  onDate?: (date: number) => void;
  fetch?: typeof fetch;
}

/** Asks the gateway that the page came from. */
export function client({ token, onDate, fetch: given }: Around): Client {
  const ask = async (path: string, options: RequestInit): Promise<Response> => {
    const headers = new Headers(options.headers);
    const bearer = token();
    if (bearer !== null) headers.set("Authorization", `Bearer ${bearer}`);
    // Looked up late: tests put another one there.
    const response = await (given ?? fetch)(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) onDate?.(date);
    if (!response.ok) throw await refusal(response);
    return response;
  };
  const whole = async <T>(path: string, options: RequestInit, signal?: AbortSignal): Promise<T> => {
    const late = AbortSignal.timeout(PATIENCE);
    try {
      const response = await ask(path, { ...options, signal: signal ? AbortSignal.any([signal, late]) : late });
      return (await response.json()) as T;
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem(0, late.aborted ? "The gateway did not answer in time." : "The gateway cannot be reached.");
    }
  };
  return {
    get: (path, signal) => whole(path, { headers: { Accept: "application/json" } }, signal),
    post: (path, body, headers = {}) => {
      const sent = body === undefined ? {} : { "Content-Type": "application/json" };
      return whole(path, { method: "POST", headers: { ...sent, ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    },
    open: (path, headers, signal) => ask(path, { headers: { Accept: "text/event-stream", ...headers }, signal }),
  };
}
