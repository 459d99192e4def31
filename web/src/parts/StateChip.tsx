import type { Run } from "../api/types";
import { stateOf } from "../words/runs";

/** How far a run is, in a word. */
export function StateChip({ run, stopping }: { run: Run; stopping: boolean }) {
  const { word, tone } = stopping ? { word: "Ending", tone: "still" } : stateOf(run);
  return <span className={`chip ${tone}`}>{word}</span>;
}
