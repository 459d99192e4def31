import { Suspense, lazy } from "react";
import type { Pool } from "../api/types";
import { usePage } from "../state/hooks";
import { howItIs } from "../words/pools";
import { Conditions } from "./Conditions";
import { Figures } from "./Figures";
import { Slots } from "./Slots";

// The chart's library comes after everything that can be pressed.
const LevelChart = lazy(() => import("./LevelChart"));

/** One pool: its sandboxes one by one, its level over time, what it costs. */
export function PoolCard({ pool }: { pool: Pool }) {
  const samples = usePage((model) => model.samples[pool.name]);
  const { words, tone } = howItIs(pool);
  return (
    <article className="card" aria-label={`Pool ${pool.name}`}>
      <header>
        <h3>{pool.name}</h3>
        <p className={`state ${tone}`}>{words}</p>
      </header>
      <Slots pool={pool} />
      <dl className="counts">
        <Count name="warm" value={`${pool.ready} of ${pool.desired}`} />
        <Count name="creating" value={String(pool.creating)} />
        <Count name="claimed" value={String(pool.claimed)} />
        <Count name="cap" value={String(pool.max)} />
      </dl>
      <Suspense fallback={<div className="chart" />}>
        <LevelChart samples={samples ?? []} max={pool.max} target={pool.desired} />
      </Suspense>
      <Figures pool={pool} />
      {pool.conditions && <Conditions conditions={pool.conditions} />}
    </article>
  );
}

function Count({ name, value }: { name: string; value: string }) {
  return (
    <div data-kind={name}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
