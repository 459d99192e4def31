import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { Sample } from "../state/samples";

interface Props {
  samples: readonly Sample[];
  max: number;
  target: number;
}

const HEIGHT = 116;
/** The least that the time axis spans, s. */
const SPAN = 120;

/** The level since the page was opened: warm above claimed, what is wanted as a line. The figures say the same in text. */
export default function LevelChart({ samples, max, target }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const draw = () => {
      const shown = plot.current?.data ?? [[], [], [], []];
      plot.current?.destroy();
      plot.current = new uPlot(options(element, max), shown, element);
    };
    draw();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [max]);
  useEffect(() => {
    plot.current?.setData(data(samples, target));
  }, [samples, target, max]);
  return <div className="chart" ref={place} aria-hidden="true" />;
}

function data(samples: readonly Sample[], target: number): uPlot.AlignedData {
  return [
    samples.map(({ at }) => at),
    samples.map(({ claimed, warm }) => claimed + warm),
    samples.map(({ claimed }) => claimed),
    samples.map(() => target),
  ];
}

function options(element: HTMLElement, max: number): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const steps = uPlot.paths.stepped?.({ align: 1 });
  const line = { ...(steps ? { paths: steps } : {}), points: { show: false } };
  const axis = { stroke: colour("quiet"), font: `11px ${style.fontFamily}`, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: true, range: (_, from, to) => [Math.min(from, to - SPAN), to] },
      y: { range: [0, Math.max(1, max)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 22, space: 80, values: (_, at) => at.map(clock) },
      { ...axis, grid: { stroke: colour("line"), width: 1 }, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] },
    ],
    series: [
      {},
      { ...line, stroke: colour("water"), fill: colour("water-soft"), width: 2 },
      { ...line, stroke: colour("sand-deep"), fill: colour("sand-soft"), width: 2 },
      { ...line, stroke: colour("quiet"), dash: [3, 4], width: 1 },
    ],
  };
}

function clock(at: number): string {
  return new Date(at * 1_000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
}
