import { usePage } from "../state/hooks";
import { AppTile } from "./AppTile";

/** Everything that can be launched. */
export function Launch() {
  const apps = usePage((model) => model.apps);
  const pools = usePage((model) => model.pools);
  return (
    <section className="launch" aria-labelledby="launch" aria-busy={apps === null}>
      <h2 id="launch">Launch</h2>
      {apps === null && <p className="loading">Asking what there is…</p>}
      {apps?.length === 0 && (
        <p className="empty">
          Nothing can be launched yet: no pool lists an app in <code>spec.apps</code>.
        </p>
      )}
      {apps && apps.length > 0 && (
        <ul className="tiles">
          {apps.map((app) => (
            <AppTile key={app.name} app={app} pools={pools ?? []} />
          ))}
        </ul>
      )}
    </section>
  );
}
