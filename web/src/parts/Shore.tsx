/** Two waves, foam, and the sand below them; drawn, not fetched. */
export function Shore() {
  return (
    <svg className="shore" viewBox="0 0 1440 120" preserveAspectRatio="none" aria-hidden="true">
      <path className="wave far" d="M0 34c120-22 240-22 360 0s240 22 360 0 240-22 360 0 240 22 360 0 240-22 360 0v90H0z" />
      <path className="wave mid" d="M0 56c90-18 180-18 270 0s180 18 270 0 180-18 270 0 180 18 270 0 180-18 270 0 180 18 270 0v70H0z" />
      <path className="wave foam" d="M0 82c150-16 330-14 500 2s320 14 470-4 300-14 470 6v34H0z" />
      <path className="wave sand" d="M0 92c150-14 330-12 500 2s320 12 470-4 300-12 470 6v24H0z" />
    </svg>
  );
}
