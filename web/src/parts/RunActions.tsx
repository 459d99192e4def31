import { useState } from "react";
import type { Run } from "../api/types";
import { usePage } from "../state/hooks";
import { page } from "../state/page";
import { canStop, openable } from "../words/runs";

const MORE = 10;

/** What can be done with a run. */
export function RunActions({ run, title }: { run: Run; title: string }) {
  const hasToken = usePage((model) => model.hasToken);
  const stopping = usePage((model) => model.stopping.has(run.run_id));
  const [sure, setSure] = useState(false);
  const link = openable(run.ingress_url);
  const going = canStop(run) && !stopping;
  const whose = <span className="unseen"> {title}</span>;
  return (
    <span className="actions">
      {link && going && (
        <a className="button main" href={link} target="_blank" rel="noopener noreferrer">
          Open{whose}
          <span className="unseen"> in a new tab</span>
        </a>
      )}
      {going && hasToken && run.expires_at !== null && (
        <button type="button" className="second" onClick={() => void page.extend(run, MORE)}>
          +{MORE} min{whose}
        </button>
      )}
      {going && (
        <button
          type="button"
          className={sure ? "second sure" : "second"}
          onBlur={() => setSure(false)}
          onClick={() => {
            setSure(!sure);
            if (sure) void page.stop(run);
          }}
        >
          {sure ? "Really stop" : "Stop"}
          {whose}
        </button>
      )}
    </span>
  );
}
