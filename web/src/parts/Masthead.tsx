import { usePage } from "../state/hooks";
import { tide } from "../words/pools";
import { AccessButton } from "./AccessButton";
import { Shore } from "./Shore";

/** The sea, and what it says today. */
export function Masthead() {
  const pools = usePage((model) => model.pools);
  const kind = usePage((model) => model.link.kind);
  const words = pools ? (pools.length === 0 ? "There is no pool yet." : tide(pools)) : "Looking…";
  const stale = kind !== "live" && kind !== "loading";
  return (
    <header className="masthead">
      <div className="masthead-line">
        <p className="wordmark">
          <img src="/icon.svg" alt="" width="34" height="34" />
          Sandbar
        </p>
        <AccessButton />
      </div>
      <h1 className={stale ? "tide stale" : "tide"}>{kind === "locked" ? "The tide is out." : words}</h1>
      <Shore />
    </header>
  );
}
