import type { Run, RunState } from "../api/types";

/** How a state feels: what colour it gets. */
export type Tone = "water" | "sand" | "good" | "bad" | "still";

const WORDS: Record<RunState, { word: string; tone: Tone }> = {
  queued: { word: "Waiting", tone: "sand" },
  acquiring: { word: "Getting a sandbox", tone: "water" },
  launching: { word: "Starting", tone: "water" },
  running: { word: "Running", tone: "good" },
  hibernated: { word: "Asleep", tone: "still" },
  failed: { word: "Failed", tone: "bad" },
  stopping: { word: "Ending", tone: "still" },
  ended: { word: "Over", tone: "still" },
};

export function stateOf(run: Pick<Run, "status" | "queue_position">): { word: string; tone: Tone } {
  const { word, tone } = WORDS[run.status];
  return run.queue_position === null ? { word, tone } : { word: `${word}, place ${run.queue_position}`, tone };
}

const ENDS: Record<string, string> = {
  Expired: "Its time was over.",
  Released: "It was stopped.",
  WaitTimeout: "It waited too long for a sandbox.",
  InstanceLost: "The provider lost its sandbox.",
};

/** Why a run is over, in a sentence. */
export function ending(reason: string | null | undefined, message: string | null | undefined): string {
  const known = reason ? ENDS[reason] : undefined;
  return known ?? message ?? (reason ? `It ended: ${reason}.` : "It is over.");
}

export function isOver(run: Pick<Run, "status" | "ended_at">): boolean {
  return run.status === "ended" || run.ended_at !== null;
}

/** Whether stopping it means anything. */
export function canStop(run: Pick<Run, "status" | "ended_at">): boolean {
  return !isOver(run) && run.status !== "stopping";
}

/** The parts of a launch, in their order, that took time. */
export function parts(run: Pick<Run, "timings">): { name: string; ms: number }[] {
  const { acquire_ms, files_ms, install_ms, start_ms, answer_ms } = run.timings;
  const all = [
    { name: "sandbox", ms: acquire_ms },
    { name: "files", ms: files_ms },
    { name: "install", ms: install_ms },
    { name: "start", ms: start_ms },
    { name: "first answer", ms: answer_ms },
  ];
  return all.flatMap(({ name, ms }) => (ms === null ? [] : [{ name, ms }]));
}

/** A link that a click may follow. */
export function openable(link: string | null): string | null {
  if (link === null || !URL.canParse(link, "http://here.invalid")) return null;
  const { protocol } = new URL(link, "http://here.invalid");
  return protocol === "http:" || protocol === "https:" ? link : null;
}
