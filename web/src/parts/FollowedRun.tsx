import { useEffect, useRef } from "react";
import type { Run } from "../api/types";
import { usePage } from "../state/hooks";
import { useRun } from "../state/useRun";
import { useStream } from "../state/useStream";
import { isOver, stateOf } from "../words/runs";
import { Countdown } from "./Countdown";
import { RunActions } from "./RunActions";
import { RunLog } from "./RunLog";
import { StateChip } from "./StateChip";
import { StreamSays } from "./StreamSays";
import { TimeBar } from "./TimeBar";

/** A run with everything that happens in it. */
export function FollowedRun({ id }: { id: string }) {
  const { entries, state } = useStream(id);
  const run = useRun(id, entries.length);
  const named = usePage((model) => model.apps?.find((app) => app.name === run?.app)?.title);
  const title = named ?? run?.app ?? "This run";
  const stopping = usePage((model) => model.stopping.has(id));
  const heading = useRef<HTMLHeadingElement>(null);
  // On a phone it is elsewhere than the button that was pressed.
  useEffect(() => {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    heading.current?.scrollIntoView({ behavior, block: "nearest" });
  }, []);
  return (
    <>
      <div className="panel-head">
        <h2 id="panel" ref={heading}>
          {title}
        </h2>
        {run && <StateChip run={run} stopping={stopping} />}
        <a className="close" href="#">
          Close<span className="unseen"> what is followed</span>
        </a>
      </div>
      {run && <Facts run={run} title={title} />}
      {run?.status === "failed" && !isOver(run) && run.message && (
        <p className="why" role="alert">
          {run.message}
        </p>
      )}
      {run && <TimeBar run={run} />}
      <RunLog entries={entries} />
      <StreamSays state={state} />
      <p className="unseen" role="status">
        {run ? `${title}: ${stateOf(run).word}` : ""}
      </p>
    </>
  );
}

function Facts({ run, title }: { run: Run; title: string }) {
  return (
    <div className="facts">
      <p>
        {run.start ? `${run.start} start, pool ${run.pool}` : `Pool ${run.pool}`}
        {run.expires_at !== null && !isOver(run) && (
          <>
            {" · "}
            <Countdown until={run.expires_at} /> left
          </>
        )}
      </p>
      <RunActions run={run} title={title} />
    </div>
  );
}
