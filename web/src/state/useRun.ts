import { useEffect, useState } from "react";
import type { Run } from "../api/types";
import { usePage } from "./hooks";
import { page } from "./page";

/** A run by its id: out of the list, or asked for, with everything that is heard of it, where the list lacks it. */
export function useRun(id: string, heard: number): Run | null {
  const listed = usePage((model) => model.runs?.find((run) => run.run_id === id) ?? null);
  const loaded = usePage((model) => model.runs !== null);
  const [asked, setAsked] = useState<Run | null>(null);
  const missing = loaded && listed === null;
  useEffect(() => {
    if (!missing) return;
    const ends = new AbortController();
    const take = (run: Run) => {
      if (!ends.signal.aborted) setAsked(run);
    };
    // The stream says it where there is no such run.
    page.client.get<Run>(`/v1/runs/${id}`, ends.signal).then(take, () => undefined);
    return () => ends.abort();
  }, [id, missing, heard]);
  return listed ?? asked;
}
