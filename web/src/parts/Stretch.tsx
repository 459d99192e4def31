import { memo, useEffect, useRef, useState } from "react";
import type { Run } from "../api/types";
import { RunRow } from "./RunRow";

/** Rows in a stretch. */
export const STRETCH = 10;
/** So far from the screen a stretch is drawn already. */
const AHEAD = "400px 0px";

interface Props {
  /** The same list as before where nothing about it has changed. */
  runs: readonly Run[];
  /** The first row of this stretch. */
  from: number;
  titles: ReadonlyMap<string, string>;
  chosen: string | null;
}

/** Some rows, drawn while they are near the screen: what a list costs does not depend on its length. */
export const Stretch = memo(function Stretch({ runs, from, titles, chosen }: Props) {
  const place = useRef<HTMLUListElement>(null);
  const [near, setNear] = useState(from === 0);
  const [height, setHeight] = useState<number | null>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      ([seen]) => {
        if (!seen) return;
        // Whoever stands in it with the keyboard stays there.
        const stays = seen.isIntersecting || element.contains(document.activeElement);
        if (!stays && element.childElementCount > 0) setHeight(element.offsetHeight);
        setNear(stays);
      },
      { rootMargin: AHEAD },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const shown = runs.slice(from, from + STRETCH);
  if (!near) {
    const room = height === null ? { "--rows": shown.length } : { minHeight: height };
    return <ul className="stretch away" ref={place} style={room} />;
  }
  return (
    <ul className="stretch" ref={place}>
      {shown.map((run) => (
        <RunRow
          key={run.run_id}
          run={run}
          title={titles.get(run.app ?? "") ?? run.app ?? "No app"}
          chosen={run.run_id === chosen}
        />
      ))}
    </ul>
  );
});
