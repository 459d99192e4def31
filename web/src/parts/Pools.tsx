import { usePage } from "../state/hooks";
import { PoolCard } from "./PoolCard";

/** How the pools are. */
export function Pools() {
  const pools = usePage((model) => model.pools);
  return (
    <section className="pools" aria-labelledby="pools" aria-busy={pools === null}>
      <h2 id="pools">Pools</h2>
      {pools === null && <p className="loading">Asking how they are…</p>}
      {pools?.length === 0 && (
        <p className="empty">
          There is no pool. Apply one: <code>kubectl apply -f deploy/examples/pool-games-python.yaml</code>
        </p>
      )}
      <div className="cards">
        {pools?.map((pool) => (
          <PoolCard key={pool.name} pool={pool} />
        ))}
      </div>
    </section>
  );
}
