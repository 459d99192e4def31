import { memo } from "react";
import type { Run } from "../api/types";
import { usePage } from "../state/hooks";
import { took } from "../words/duration";
import { isOver } from "../words/runs";
import { AppMark } from "./AppMark";
import { Countdown } from "./Countdown";
import { RunActions } from "./RunActions";
import { StateChip } from "./StateChip";

interface Props {
  run: Run;
  title: string;
  chosen: boolean;
}

/** One run in a line. Drawn anew only when something about it has changed. */
export const RunRow = memo(function RunRow({ run, title, chosen }: Props) {
  const stopping = usePage((model) => model.stopping.has(run.run_id));
  const total = run.timings.total_ms;
  const start = [run.start?.toLowerCase(), total === null ? null : took(total)].filter(Boolean).join(" · ");
  return (
    <li className={chosen ? "run chosen" : "run"}>
      <AppMark name={run.app ?? run.pool} size={36} />
      <a className="run-name" href={`#${run.run_id}`} aria-current={chosen || undefined}>
        <strong>{title}</strong>
        <span className="run-id">{run.run_id}</span>
      </a>
      <StateChip run={run} stopping={stopping} />
      <span className="run-start">{start || run.pool}</span>
      <span className="run-left">{run.expires_at !== null && !isOver(run) && <Countdown until={run.expires_at} />}</span>
      <RunActions run={run} title={title} />
    </li>
  );
});
