import { useMemo, useState } from "react";
import { useChosen, usePage } from "../state/hooks";
import { page } from "../state/page";
import { isOver } from "../words/runs";
import { STRETCH, Stretch } from "./Stretch";

/** The runs that go on, and those of the last hour that are over. */
export function Runs() {
  const runs = usePage((model) => model.runs);
  const apps = usePage((model) => model.apps);
  const total = usePage((model) => model.total);
  const chosen = useChosen();
  const [past, setPast] = useState(false);
  const titles = useMemo(() => new Map(apps?.map((app) => [app.name, app.title])), [apps]);
  const going = useMemo(() => runs?.filter((run) => !isOver(run)) ?? [], [runs]);
  const shown = past ? (runs ?? []) : going;
  const over = (runs?.length ?? 0) - going.length;
  return (
    <section className="runs" aria-labelledby="runs" aria-busy={runs === null}>
      <div className="heading">
        <h2 id="runs">Runs</h2>
        {going.length > 0 && <span className="count">{going.length} going on</span>}
        {over > 0 && (
          <label className="switch">
            <input type="checkbox" checked={past} onChange={(event) => setPast(event.target.checked)} />
            with {over} that {over === 1 ? "is" : "are"} over
          </label>
        )}
      </div>
      {runs === null && <p className="loading">Asking what runs…</p>}
      {runs !== null && shown.length === 0 && <p className="empty">Nothing runs. Launch an app, and it appears here.</p>}
      {shown.length > 0 && (
        <div className="rows">
          {Array.from({ length: Math.ceil(shown.length / STRETCH) }, (_, at) => (
            <Stretch key={at} runs={shown} from={at * STRETCH} titles={titles} chosen={chosen} />
          ))}
        </div>
      )}
      {runs !== null && total > runs.length && (
        <p className="more">
          The newest {runs.length} of {total}.{" "}
          {runs.length < page.mostRuns && (
            <button type="button" className="plain" onClick={page.showAll}>
              Show more
            </button>
          )}
        </p>
      )}
    </section>
  );
}
