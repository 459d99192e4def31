const HUES = 4;

/** Sand raked around a stone: every name has its own, and the same everywhere. */
export function AppMark({ name, size = 56 }: { name: string; size?: number }) {
  const seed = Array.from(name).reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9_973, 7);
  const [x, y] = [18 + (seed % 29), 20 + ((seed >> 3) % 25)];
  const stone = 5 + (seed % 4);
  const rings = [1, 2, 3, 4, 5, 6].map((ring) => stone + ring * 6);
  return (
    <svg className={`mark hue-${seed % HUES}`} viewBox="0 0 64 64" width={size} height={size} aria-hidden="true">
      <rect width="64" height="64" rx="18" />
      {rings.map((radius) => (
        <circle key={radius} className="rake" cx={x} cy={y} r={radius} />
      ))}
      <ellipse className="stone" cx={x} cy={y} rx={stone + 1} ry={stone} transform={`rotate(${seed % 50} ${x} ${y})`} />
    </svg>
  );
}
