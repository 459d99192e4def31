/** The bearer token: as long as this tab lives, and nowhere else. */

const NAME = "sandbar.token";

export function storedToken(storage: Storage = sessionStorage): string | null {
  return storage.getItem(NAME);
}

export function storeToken(token: string | null, storage: Storage = sessionStorage): void {
  const plain = cleaned(token ?? "");
  if (plain === "") storage.removeItem(NAME);
  else storage.setItem(NAME, plain);
}

/** What people paste: with line breaks of a terminal, or with the scheme before it. */
export function cleaned(pasted: string): string {
  return pasted.replace(/^\s*bearer\s+/i, "").replace(/\s+/g, "");
}
