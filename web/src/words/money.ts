/** Decimal dollars as people read them: small amounts keep two digits that say something. */
export function usd(text: string): string {
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  if (value === 0) return "$0";
  if (value < 0.000_1) return "< $0.0001";
  const decimals = value < 1 ? Math.min(4, 1 - Math.floor(Math.log10(value))) : 2;
  return `$${value.toFixed(Math.max(2, decimals))}`;
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value < 100 && value > 99 ? value.toFixed(1) : Math.round(value)} %`;
}

/** `1 sandbox`, `2 sandboxes`, `no sandbox`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return count === 0 ? `no ${one}` : `${count} ${count === 1 ? one : many}`;
}

/** With a capital letter, as sentences begin. */
export function begun(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
