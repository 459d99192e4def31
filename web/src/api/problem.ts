import { begun } from "../words/money";

/** A question that was not answered as hoped. */
export class Problem extends Error {
  constructor(
    /** Of HTTP; 0 where no answer came. */
    readonly status: number,
    /** A sentence for people. */
    detail: string,
    /** Seconds after which it may be asked again. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
    this.name = "Problem";
  }

  /** Whether nobody can say if it was done: asking again, with the same key, is right. */
  get isUnclear(): boolean {
    return this.status === 0 || [502, 503, 504].includes(this.status);
  }

  /** Whether only another token helps. */
  get isAboutRights(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** Whether asking the same again gives the same. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 429 && this.status !== 408;
  }
}

/** Whatever was thrown, as a problem. */
export function problemOf(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, "The gateway does not answer.");
}

/** What a refusal says. */
export async function refusal(response: Response): Promise<Problem> {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  let detail = "";
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null && "detail" in body) detail = String(body.detail);
  } catch {
    // A proxy's page of its own says nothing that helps.
  }
  const words = detail || `The gateway answered ${response.status}.`;
  return new Problem(response.status, sentence(words), Number.isFinite(seconds) ? seconds : null);
}

function sentence(words: string): string {
  return begun(/[.!?]$/.test(words) ? words : `${words}.`);
}
