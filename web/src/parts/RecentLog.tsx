import { memo, useMemo } from "react";
import type { Entry } from "../api/types";
import { usePage, useTicking } from "../state/hooks";
import { ago } from "../words/duration";

/** The newest lines of all runs, the newest first. */
export function RecentLog() {
  const log = usePage((model) => model.log);
  const newest = useMemo(() => log && [...log].reverse(), [log]);
  return (
    <section className="lately" aria-labelledby="lately" aria-busy={log === null}>
      <h2 id="lately">Lately</h2>
      {log === null && <p className="loading">Asking what happened…</p>}
      {log?.length === 0 && <p className="empty">Nothing has happened within the hour.</p>}
      {newest && newest.length > 0 && (
        <ol className="lines" tabIndex={0} aria-labelledby="lately">
          {newest.map((entry) => (
            <Line key={`${entry.run_id} ${entry.number}`} entry={entry} />
          ))}
        </ol>
      )}
    </section>
  );
}

const Line = memo(function Line({ entry }: { entry: Entry }) {
  const when = Date.parse(entry.time);
  const age = useTicking((now) => ago(now - when));
  return (
    <li className={entry.warning ? "warning" : undefined}>
      <time dateTime={entry.time}>{age}</time>
      <a href={`#${entry.run_id}`}>{entry.run_id}</a>
      <span>
        {entry.warning && <b>Warning: </b>}
        {entry.message}
      </span>
    </li>
  );
});
