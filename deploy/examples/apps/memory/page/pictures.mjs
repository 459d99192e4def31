// The pictures on the cards: each differs from the others in shape as well as in colour. Drawn on 100 by 100.

/** Name for people who hear the game, hue (degrees), and the paths. */
export const PICTURES = [
  { name: "heart", hue: 345, path: "M50 84C16 60 14 38 22 28c8-11 23-8 28 6 5-14 20-17 28-6 8 10 6 32-28 56z" },
  { name: "star", hue: 42, path: "M50 12l11.500 25 27.500 3.200-20.300 18.600 5.400 27L50 72.400 25.900 85.800l5.400-27L11 40.200 38.500 37z" },
  { name: "moon", hue: 255, path: "M62 14a37 37 0 1 0 24 52A31 31 0 0 1 62 14z" },
  { name: "leaf", hue: 135, path: "M84 16C40 14 14 34 18 70l-4 12 6 4 6-10c34 6 58-16 58-60zM34 66c8-14 18-23 32-31-11 11-20 20-28 33z" },
  { name: "drop", hue: 205, path: "M50 10c16 22 27 36 27 51a27 27 0 0 1-54 0c0-15 11-29 27-51z" },
  { name: "bolt", hue: 28, path: "M58 8L22 56h22l-8 36 42-52H54z" },
  { name: "sun", hue: 50, path: "M50 30a20 20 0 1 1 0 40 20 20 0 0 1 0-40zM46 8h8v14h-8zM46 78h8v14h-8zM8 46h14v8H8zM78 46h14v8H78zM17.500 23.200l5.700-5.700 9.900 9.900-5.700 5.700zM66.900 72.600l5.700-5.700 9.900 9.900-5.700 5.700zM17.500 76.800l9.900-9.900 5.700 5.700-9.900 9.900zM66.900 27.400l9.900-9.900 5.700 5.700-9.900 9.900z" },
  { name: "ring", hue: 178, path: "M50 12a38 38 0 1 1 0 76 38 38 0 0 1 0-76zm0 20a18 18 0 1 0 0 36 18 18 0 0 0 0-36z" },
  { name: "house", hue: 12, path: "M50 12L10 48h11v38h22V62h14v24h22V48h11z" },
  { name: "fish", hue: 225, path: "M8 50c12-22 40-30 60-8l20-16c-5 16-5 32 0 48L68 58C48 80 20 72 8 50zm20-10a5 5 0 1 0 0 10 5 5 0 0 0 0-10z" },
  { name: "mushroom", hue: 0, path: "M10 52c0-26 18-40 40-40s40 14 40 40c0 4-3 6-7 6H64l4 26c1 4-2 6-5 6H37c-3 0-6-2-5-6l4-26H17c-4 0-7-2-7-6zM36 26a7 7 0 1 0 0 14 7 7 0 0 0 0-14zm28 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12z" },
  { name: "flower", hue: 305, path: "M50 36c-14-34 20-34 7-4 26-24 40 6 8 12 36 4 20 34-6 18 10 34-26 34-18 0-26 16-42-14-6-18-32-6-18-36 8-12-8-8-4-6 7 4zm0 6a9 9 0 1 0 0 18 9 9 0 0 0 0-18z" },
];

/** One picture as an SVG element that is seen, not heard: the card says its name. */
export function picture(number) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  svg.style.setProperty("--hue", PICTURES[number].hue);
  const path = svg.appendChild(document.createElementNS(space, "path"));
  path.setAttribute("d", PICTURES[number].path);
  path.setAttribute("fill-rule", "evenodd");
  return svg;
}
