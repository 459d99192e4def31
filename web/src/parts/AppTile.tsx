import type { App, Pool } from "../api/types";
import { begun, counted } from "../words/money";
import { ways } from "../words/pools";
import { AppMark } from "./AppMark";
import { LaunchButton } from "./LaunchButton";

/** One app, and the ways to launch it. */
export function AppTile({ app, pools }: { app: App; pools: readonly Pool[] }) {
  const can = ways(app, pools);
  return (
    <li className="tile">
      <AppMark name={app.name} />
      <div className="tile-words">
        <h3>{app.title}</h3>
        <p>{can.includes("warm") ? begun(counted(app.warm, "warm sandbox", "warm sandboxes")) : "Made on demand"}</p>
      </div>
      <div className="tile-ways">
        {can.map((way) => (
          <LaunchButton key={way} app={app} way={way} main={way === can[0]} />
        ))}
      </div>
    </li>
  );
}
