/** The new list with the old objects in it wherever nothing about them has changed, so that only what changed is drawn. */
export function keep<T>(old: readonly T[] | null, fresh: readonly T[], id: (item: T) => string): readonly T[] {
  if (old === null) return fresh;
  const known = new Map(old.map((item) => [id(item), item]));
  const next = fresh.map((item) => {
    const before = known.get(id(item));
    return before !== undefined && JSON.stringify(before) === JSON.stringify(item) ? before : item;
  });
  return next.length === old.length && next.every((item, at) => item === old[at]) ? old : next;
}
